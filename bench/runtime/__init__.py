"""The model server against its peers: same models, same cores, same load."""
