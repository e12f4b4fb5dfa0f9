"""Documents in the words of KServe's samples, Databricks' API and SageMaker's, shortened and retold.

SageMaker's has a shadow beside two variants, of which AWS takes one at a time, so that one sample shows both.
"""

from typing import Any

INFERENCE_SERVICE: dict[str, Any] = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {
        "name": "fraud",
        "namespace": "ml",
        "labels": {"team": "payments"},
        "annotations": {"autoscaling.knative.dev/target": "10", "sidecar.istio.io/inject": "false"},
        "creationTimestamp": "2026-05-01T10:00:00Z",
        "uid": "5b1c",
    },
    "spec": {
        "predictor": {
            "minReplicas": 0,
            "maxReplicas": 5,
            "scaleTarget": 10,
            "scaleMetric": "concurrency",
            "canaryTrafficPercent": 20,
            "serviceAccountName": "models",
            "timeout": 60,
            "nodeSelector": {"pool": "models"},
            "tolerations": [
                {"key": "dedicated", "operator": "Equal", "value": "models", "effect": "NoSchedule"},
                {"key": "nvidia.com/gpu", "operator": "Exists", "tolerationSeconds": 30},
            ],
            "volumes": [{"name": "features", "persistentVolumeClaim": {"claimName": "features", "readOnly": True}}],
            "model": {
                "modelFormat": {"name": "mlflow"},
                "protocolVersion": "v2",
                "storageUri": "s3://models/fraud/7/artifacts",
                "resources": {
                    "requests": {"cpu": "500m", "memory": "1Gi"},
                    "limits": {"cpu": "2", "memory": "2Gi", "nvidia.com/gpu": "1"},
                },
                "env": [
                    {"name": "REGION", "value": "eu"},
                    {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "api", "key": "key"}}},
                    {"name": "PORT", "value": "8080"},
                ],
                "volumeMounts": [{"name": "features", "mountPath": "/mnt/features", "readOnly": True}],
            },
        },
        "transformer": {"containers": [{"name": "kserve-container", "image": "shop/resize:1"}]},
    },
    "status": {"url": "http://fraud.ml.example"},
}
SERVICE_ACCOUNT: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {
        "name": "models",
        "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/models"},
    },
}
OLD_INFERENCE_SERVICE: dict[str, Any] = {
    "apiVersion": "serving.kubeflow.org/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "flowers"},
    "spec": {
        "predictor": {
            "sklearn": {
                "storageUri": "gs://models/flowers",
                "protocolVersion": "v1",
                "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}},
            }
        }
    },
}
DATABRICKS: dict[str, Any] = {
    "name": "Ads_Clicks",
    "id": "d2a1",
    "creator": "ann@example.com",
    "state": {"ready": "READY", "config_update": "NOT_UPDATING"},
    "config": {
        "config_version": 3,
        "served_entities": [
            {
                "name": "current",
                "entity_name": "main.ads.clicks",
                "entity_version": "2",
                "workload_size": "Small",
                "workload_type": "CPU",
                "scale_to_zero_enabled": True,
                "environment_vars": {"TOKEN": "{{secrets/ads/token}}", "REGION": "eu"},
                "state": {"deployment": "DEPLOYMENT_READY"},
            },
            {
                "name": "challenger",
                "entity_name": "main.ads.clicks",
                "entity_version": "4",
                "workload_size": "Medium",
                "workload_type": "GPU_MEDIUM",
                "scale_to_zero_enabled": False,
                "instance_profile_arn": "arn:aws:iam::123456789012:instance-profile/ads",
            },
        ],
        "traffic_config": {
            "routes": [
                {"served_model_name": "current", "traffic_percentage": 90},
                {"served_model_name": "challenger", "traffic_percentage": 10},
            ]
        },
        "auto_capture_config": {
            "catalog_name": "main",
            "schema_name": "ads",
            "table_name_prefix": "clicks",
            "enabled": True,
        },
    },
    "ai_gateway": {
        "rate_limits": [
            {"calls": 100, "key": "user", "renewal_period": "minute"},
            {"calls": 1000, "key": "endpoint", "renewal_period": "minute"},
            {"tokens": 5000, "key": "endpoint", "renewal_period": "minute"},
        ]
    },
    "tags": [{"key": "team", "value": "ads"}],
    "permission_level": "CAN_MANAGE",
}
SAGEMAKER: dict[str, Any] = {
    "EndpointConfigName": "churn",
    "EndpointConfigArn": "arn:aws:sagemaker:eu-west-1:123456789012:endpoint-config/churn",
    "CreationTime": "2026-05-01T10:00:00Z",
    "ProductionVariants": [
        {
            "VariantName": "AllTraffic",
            "ModelName": "churn-7",
            "InitialInstanceCount": 2,
            "InstanceType": "ml.m5.xlarge",
            "InitialVariantWeight": 2.0,
            "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
        },
        {
            "VariantName": "serverless",
            "ModelName": "churn-8",
            "InitialVariantWeight": 1.0,
            "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 20},
        },
    ],
    "ShadowProductionVariants": [
        {
            "VariantName": "next",
            "ModelName": "churn-9",
            "InstanceType": "ml.g5.12xlarge",
            "InitialVariantWeight": 0.6,
            "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 1, "MaxInstanceCount": 3},
        }
    ],
    "DataCaptureConfig": {
        "EnableCapture": True,
        "InitialSamplingPercentage": 50,
        "DestinationS3Uri": "s3://lake/capture/",
        "KmsKeyId": "alias/lake",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    },
    "ExecutionRoleArn": "arn:aws:iam::123456789012:role/churn",
    "EnableNetworkIsolation": True,
}
