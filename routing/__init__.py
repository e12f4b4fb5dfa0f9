"""Control plane: turns ModelEndpoint objects and EndpointSlices into the configuration of both Envoy roles."""
