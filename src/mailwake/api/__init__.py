"""The HTTP API of the collector: webhooks, events, keys, in the vendor's shape."""
