"""What the pages ask for, and what a script can ask for: JSON over HTTP, documented at ``/api/docs``.

A view travels in the query string of each request, see :mod:`flowkeep.ui.view`, so nothing is remembered
between requests, and tabs and users cannot see what others select.
"""
