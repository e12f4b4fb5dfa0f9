import * as headrace from "@pulumi/headrace";
import * as pulumi from "@pulumi/pulumi";

const config = new pulumi.Config();

const platform = new headrace.ServingPlatform("platform", {
    host: config.require("host"),
    imageDelivery: { kind: "registry", repository: config.require("registry") },
});
const fraud = new headrace.ModelEndpoint("fraud", { platform: platform.ref, modelUri: "models:/fraud/7" });

export const url = fraud.url;
export const address = platform.address;
export const ca = platform.caCertificate;
