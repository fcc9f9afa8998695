"""Lakes of flows: written, compacted, asked, broken."""
