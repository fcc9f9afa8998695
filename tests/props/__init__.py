"""Laws, checked on generated traffic."""
