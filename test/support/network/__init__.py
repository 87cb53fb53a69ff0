"""What is between the server and a source: proxies, links, DNS."""
