"""The browser: captures as tables one can filter, look into and take packets out of. Needs the extra ``ui``."""
