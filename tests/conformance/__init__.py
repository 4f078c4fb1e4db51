"""What handlers may rely on, whatever carries their connections: one suite, run on each backend."""
