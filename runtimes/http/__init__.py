"""The pod's HTTP shell: connections, exchanges, routes of each protocol, health, drain and the admin port."""
