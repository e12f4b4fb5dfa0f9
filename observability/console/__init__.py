"""The console: pages for people about the endpoints that they may call, behind the PopProxy."""
