package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
	"headrace.dev/sdk/go/headrace"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		conf := config.New(ctx, "")
		platform, err := headrace.NewServingPlatform(ctx, "platform", &headrace.ServingPlatformArgs{
			Host: pulumi.StringRef(conf.Require("host")),
			ImageDelivery: &headrace.ImageDeliveryArgs{
				Kind:       "registry",
				Repository: pulumi.String(conf.Require("registry")),
			},
		})
		if err != nil {
			return err
		}
		fraud, err := headrace.NewModelEndpoint(ctx, "fraud", &headrace.ModelEndpointArgs{
			Platform: platform.Ref,
			ModelUri: pulumi.StringRef("models:/fraud/7"),
		})
		if err != nil {
			return err
		}
		ctx.Export("url", fraud.Url)
		ctx.Export("address", platform.Address)
		ctx.Export("ca", platform.CaCertificate)
		return nil
	})
}
