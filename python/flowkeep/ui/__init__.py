"""The browser: captures as tables to filter, to look into and to take packets out of. Needs the extra ``ui``."""
