"""The dashboard and the HTTP port."""
