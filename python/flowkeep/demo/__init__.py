"""Made traffic for ``flowkeep demo``: a realistic capture without anybody's data in it.

All addresses are from the blocks for documentation (RFC 5737, RFC 3849), all names under
example.com.
"""
