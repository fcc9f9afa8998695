//! The edge of the operating system: reading blocks, compression, outputs, Arrow files.

pub mod cache;
pub mod carve;
pub mod codec;
pub mod dataset;
pub mod digest;
pub mod exchange;
pub mod index;
pub mod live;
pub mod memory;
pub mod probe;
pub mod remote;
pub mod seekable;
pub mod source;
pub mod table;
