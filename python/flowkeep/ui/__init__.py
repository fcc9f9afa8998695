"""The browser: captures as tables to filter, look into and take packets out of. Needs the extra ``ui``."""
