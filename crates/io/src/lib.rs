//! The edge of the operating system: reading blocks, compression, outputs.
