"""Keys of other services, which come as `X-Service-Key`: `auth` knows them."""

from auth.service_keys import ServiceKeys

__all__ = ["ServiceKeys"]
