"""Resources of AWS in the words of pulumi-aws, open, unencrypted or unowned."""

import json
from typing import Any

from judging import Case, aws
from rules.aws import (
    buckets_closed,
    buckets_encrypted,
    disk_keys,
    disks_encrypted,
    eks_access,
    eks_endpoint,
    eks_logs,
    eks_secrets,
    iam_wildcards,
    instance_metadata,
    keys_rotate,
    listeners,
    logs_encrypted,
    repositories,
    repositories_encrypted,
    security_groups,
    tags,
)
from rules.rule import Resource


def _cluster(**props: Any) -> list[Resource]:
    return [aws("eks/cluster:Cluster", "prod", **props)]


def _api(**network: Any) -> list[Resource]:
    return _cluster(vpcConfig=network)


_BUCKET = aws("s3/bucket:Bucket", "tables", bucket="acme-tables")
_ENCRYPTION = "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
_CLOSED = {
    "blockPublicAcls": True,
    "blockPublicPolicy": True,
    "ignorePublicAcls": True,
    "restrictPublicBuckets": True,
}


def _block(depends_on: str = "urn:tables", **props: Any) -> Resource:
    return Resource(
        type="aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        props={**_CLOSED, **props},
        depends_on=frozenset((depends_on,)),
    )


def _encryption(algorithm: str) -> Resource:
    rule = {"applyServerSideEncryptionByDefault": {"sseAlgorithm": algorithm}}
    return aws(_ENCRYPTION, bucket="acme-tables", rules=[rule])


def _policy(as_text: bool = True, **statement: Any) -> list[Resource]:
    spelled = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::models/*", **statement}
    document = {"Version": "2012-10-17", "Statement": spelled}
    return [aws("iam/policy:Policy", policy=json.dumps(document) if as_text else document)]


def _group(**rule: Any) -> list[Resource]:
    return [aws("ec2/securityGroup:SecurityGroup", ingress=[{"protocol": "tcp", **rule}])]


def _template(**props: Any) -> list[Resource]:
    return [aws("ec2/launchTemplate:LaunchTemplate", **props)]


def _disk(**ebs: Any) -> list[Resource]:
    return _template(blockDeviceMappings=[{"deviceName": "/dev/xvda", "ebs": ebs}])


def _listener(protocol: str, port: int, action: str = "forward") -> list[Resource]:
    return [aws("lb/listener:Listener", protocol=protocol, port=port, defaultActions=[{"type": action}])]


def _by(kind: str) -> dict[str, Any]:
    return {"encryptionConfigurations": [{"encryptionType": kind}]}


_TEMPLATE = "ecr/repositoryCreationTemplate:RepositoryCreationTemplate"
_REPOSITORY = {"imageTagMutability": "IMMUTABLE", "imageScanningConfiguration": {"scanOnPush": True}}
_WORLD = ["0.0.0.0/0"]
_API_ONLY = {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
_OWNER = {"required": ["team", "cost-centre"]}

CASES = [
    Case(eks_endpoint.RULE, _api(endpointPublicAccess=False)),
    Case(eks_endpoint.RULE, _api(endpointPublicAccess=True, publicAccessCidrs=["192.0.2.0/24"])),
    Case(eks_endpoint.RULE, _api(), "reached from everywhere"),
    Case(eks_endpoint.RULE, _api(endpointPublicAccess=True, publicAccessCidrs=_WORLD), "reached from everywhere"),
    Case(eks_endpoint.RULE, _api(publicAccessCidrs=["192.0.2.0/24"]), "has a public address", {"private": True}),
    Case(eks_secrets.RULE, _cluster(encryptionConfig={"resources": ["secrets"], "provider": {"keyArn": "k"}})),
    Case(eks_secrets.RULE, _cluster(), "Cluster prod: Secrets lie in etcd"),
    Case(eks_logs.RULE, _cluster(enabledClusterLogTypes=["api", "audit", "authenticator", "scheduler"])),
    Case(eks_logs.RULE, _cluster(enabledClusterLogTypes=["api"]), "add audit, authenticator"),
    Case(eks_access.RULE, _cluster(accessConfig=_API_ONLY)),
    Case(eks_access.RULE, _cluster(), "aws-auth ConfigMap"),
    Case(eks_access.RULE, _cluster(accessConfig={"authenticationMode": "API"}), "stays its administrator unseen"),
    Case(buckets_closed.RULE, [_BUCKET, _block()]),
    Case(buckets_closed.RULE, [_BUCKET, _block("urn:other", bucket="acme-tables")]),
    Case(buckets_closed.RULE, [_BUCKET], "Bucket tables: a policy or an ACL can open it"),
    Case(buckets_closed.RULE, [_BUCKET, _block("urn:other")], "can open it"),
    Case(buckets_closed.RULE, [_BUCKET, _block(blockPublicPolicy=False)], "can open it"),
    Case(buckets_encrypted.RULE, [_BUCKET, _encryption("aws:kms")]),
    Case(buckets_encrypted.RULE, [_BUCKET, _encryption("AES256")], "under a key of AWS"),
    Case(buckets_encrypted.RULE, [_BUCKET], "under a key of AWS"),
    Case(disks_encrypted.RULE, [*_disk(encrypted="true"), aws("ebs/volume:Volume", encrypted=True)]),
    Case(disks_encrypted.RULE, _disk(), "the disk /dev/xvda"),
    Case(disks_encrypted.RULE, [aws("ebs/volume:Volume")], "set encrypted to true"),
    Case(disk_keys.RULE, [*_disk(kmsKeyId="k"), aws("ebs/volume:Volume", kmsKeyId="k")]),
    Case(disk_keys.RULE, _disk(encrypted="true"), "the disk /dev/xvda of its nodes lies under a key of AWS"),
    Case(disk_keys.RULE, [aws("ebs/volume:Volume", encrypted=True)], "set kmsKeyId"),
    Case(logs_encrypted.RULE, [aws("cloudwatch/logGroup:LogGroup", kmsKeyId="k")]),
    Case(logs_encrypted.RULE, [aws("cloudwatch/logGroup:LogGroup")], "its lines lie under a key of AWS"),
    Case(keys_rotate.RULE, [aws("kms/key:Key", enableKeyRotation=True, deletionWindowInDays=30)]),
    Case(keys_rotate.RULE, [aws("kms/key:Key", customerMasterKeySpec="RSA_4096")]),
    Case(keys_rotate.RULE, [aws("kms/key:Key")], "enableKeyRotation"),
    Case(keys_rotate.RULE, [aws("kms/key:Key", enableKeyRotation=True, deletionWindowInDays=7)], "at least 14"),
    Case(repositories.RULE, [aws("ecr/repository:Repository", **_REPOSITORY)]),
    Case(repositories.RULE, [aws("ecr/repository:Repository")], "IMMUTABLE"),
    Case(repositories.RULE, [aws("ecr/repository:Repository", imageTagMutability="IMMUTABLE")], "scanOnPush"),
    Case(repositories_encrypted.RULE, [aws("ecr/repository:Repository", **_by("KMS"))]),
    Case(repositories_encrypted.RULE, [aws("ecr/repository:Repository", **_by("AES256"))], "under a key of AWS"),
    Case(repositories_encrypted.RULE, [aws("ecr/repository:Repository")], "under a key of AWS"),
    Case(repositories_encrypted.RULE, [aws(_TEMPLATE)], "under a key of AWS"),
    Case(iam_wildcards.RULE, _policy()),
    Case(iam_wildcards.RULE, _policy(Effect="Deny", Action="*")),
    Case(iam_wildcards.RULE, [aws("iam/policy:Policy", policy="not JSON")]),
    Case(iam_wildcards.RULE, _policy(Action="*"), "the action '*'"),
    Case(iam_wildcards.RULE, _policy(as_text=False, Action=["s3:GetObject", "ec2:*"]), "the action 'ec2:*'"),
    Case(iam_wildcards.RULE, _policy(NotAction="iam:*"), "NotAction"),
    Case(
        iam_wildcards.RULE,
        [aws("iam/role:Role", assumeRolePolicy='{"Statement":[{"Effect":"Allow","Principal":{"AWS":"*"}}]}')],
        "every account of AWS",
    ),
    Case(
        iam_wildcards.RULE,
        [
            aws(
                "iam/rolePolicyAttachment:RolePolicyAttachment",
                policyArn="arn:aws:iam::aws:policy/AdministratorAccess",
            )
        ],
        "AdministratorAccess",
    ),
    Case(security_groups.RULE, _group(fromPort=443, toPort=443, cidrBlocks=_WORLD)),
    Case(security_groups.RULE, _group(fromPort=22, toPort=22, cidrBlocks=["10.0.0.0/8"])),
    Case(security_groups.RULE, _group(fromPort=22, toPort=22, cidrBlocks=_WORLD), "everybody reaches port 22"),
    Case(security_groups.RULE, _group(fromPort=443, toPort=444, ipv6CidrBlocks=["::/0"]), "ports 443 to 444"),
    Case(security_groups.RULE, _group(cidrBlocks=_WORLD), "everybody reaches every port"),
    Case(
        security_groups.RULE,
        [aws("vpc/securityGroupIngressRule:SecurityGroupIngressRule", ipProtocol="-1", cidrIpv4="0.0.0.0/0")],
        "every port",
    ),
    Case(security_groups.RULE, _group(fromPort=80, toPort=80, cidrBlocks=_WORLD), config={"public_ports": [80, 443]}),
    Case(listeners.RULE, [*_listener("HTTPS", 443), *_listener("TLS", 443), *_listener("TCP", 443)]),
    Case(listeners.RULE, _listener("HTTP", 80, "redirect")),
    Case(listeners.RULE, _listener("HTTP", 80), "clients of port 80 speak HTTP"),
    Case(instance_metadata.RULE, _template(metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 1})),
    Case(instance_metadata.RULE, _template(metadataOptions={"httpEndpoint": "disabled"})),
    Case(instance_metadata.RULE, _template(), "httpTokens"),
    Case(
        instance_metadata.RULE,
        _template(metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 2}),
        "HopLimit = 2",
    ),
    Case(tags.RULE, [aws("s3/bucket:Bucket")]),
    Case(tags.RULE, [aws("s3/bucket:Bucket", tags={"team": "ml"}, tagsAll={"cost-centre": "7"})], config=_OWNER),
    Case(tags.RULE, [aws("iam/instanceProfile:InstanceProfile")], config=_OWNER),
    Case(tags.RULE, [aws("s3/bucket:Bucket", tags={"team": "ml"})], "set the tags cost-centre", _OWNER),
]
