"""Stands in for Pulumi's AWS provider and for AWS itself, of which neither can be had without the internet.

    program ──► the real Pulumi engine ──gRPC──► provider.py ──boto3──► server.py: moto, and gaps.py beside it

`provider.py` speaks Pulumi's provider protocol and knows the resources that Headrace makes and no other: an unknown
type, or an input that no call uses, is refused. Each is made by real calls of boto3, so that botocore's own models
refuse wrong parameters, on `moto`'s server, which keeps what was made between two commands of Pulumi. `gaps.py` answers
the calls that moto lacks. What this cannot show: limits, delays and eventual consistency of AWS, and whether IAM
permits a call.

Nothing here ever asks AWS: `clients.py` refuses every address that is not of the loopback.
"""
