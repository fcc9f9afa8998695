"""The command line as a user meets it: a process with arguments, streams and an exit status."""
