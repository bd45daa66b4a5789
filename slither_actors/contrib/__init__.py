"""Integrations: the only modules that import optional packages."""
