from .frame import register
__all__=["register"]
