"""What every handler has: logger, tracer, metrics, typed settings, and the clients of the domain."""
