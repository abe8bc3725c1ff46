"""The sensor that follows the releases of a source."""
