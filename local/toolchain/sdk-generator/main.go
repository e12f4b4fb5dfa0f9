// Command sdk-generator writes the SDK of a Pulumi package for one language, by the code that Pulumi's language hosts
// have it from, and tells what inputs and outputs are called and typed there.
//
//	sdk-generator write LANGUAGE SCHEMA FOLDER    LANGUAGE is nodejs, python or go
//	sdk-generator describe LANGUAGE SCHEMA        nodejs or go; JSON: section -> token -> property -> [name, type]
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pulumi/pulumi/pkg/v3/codegen"
	golang "github.com/pulumi/pulumi/pkg/v3/codegen/go"
	"github.com/pulumi/pulumi/pkg/v3/codegen/nodejs"
	"github.com/pulumi/pulumi/pkg/v3/codegen/python"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

const (
	tool = "headrace"
	// Where programs in Go import the SDK from; its module is one level up.
	goImportBase = "headrace.dev/sdk/go/headrace"
)

func main() {
	var err error
	switch arguments := os.Args[1:]; {
	case len(arguments) == 4 && arguments[0] == "write":
		err = write(arguments[1], arguments[2], arguments[3])
	case len(arguments) == 3 && arguments[0] == "describe":
		err = describe(arguments[1], arguments[2])
	default:
		err = fmt.Errorf("arguments = %q, must be: write LANGUAGE SCHEMA FOLDER, or describe LANGUAGE SCHEMA", arguments)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func load(path string) (*schema.Package, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var spec schema.PackageSpec
	if err := json.Unmarshal(text, &spec); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	spec.Meta = &schema.MetadataSpec{SupportPack: true} // a package of its own for the language's tools, with its metadata
	spec.Language["go"] = schema.RawMessage(fmt.Sprintf(`{"respectSchemaVersion": true, "importBasePath": %q}`, goImportBase))
	spec.Language["python"] = schema.RawMessage(`{"respectSchemaVersion": true, "pyproject": {"enabled": true}}`)
	pkg, err := schema.ImportSpec(spec, map[string]schema.Language{
		"go": golang.Importer, "nodejs": nodejs.Importer, "python": python.Importer,
	}, schema.ValidationOptions{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return pkg, nil
}

func write(language, path, folder string) error {
	pkg, err := load(path)
	if err != nil {
		return err
	}
	var files map[string][]byte
	switch language {
	case "nodejs":
		const isLocal = true // compiles itself where it is installed
		files, err = nodejs.GeneratePackage(tool, pkg, nil, nil, isLocal, nil)
		ascend(files)
	case "python":
		files, err = python.GeneratePackage(tool, pkg, nil, nil)
	case "go":
		files, err = golang.GeneratePackage(tool, pkg, nil)
	default:
		err = fmt.Errorf("LANGUAGE = %q, must be nodejs, python or go", language)
	}
	if err != nil {
		return err
	}
	for name, text := range files {
		place := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(place, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

var atRoot = regexp.MustCompile(`from "[./]*/(types/(?:input|output|enums)|utilities)"`)

// ascend leads imports of files below the root to the root. The generator takes path.Dir of filepath.Rel(folder, ""),
// which was "../." before Go 1.26 and is ".." since, one level short.
func ascend(files map[string][]byte) {
	for name, text := range files {
		if depth := strings.Count(name, "/"); depth > 0 {
			files[name] = atRoot.ReplaceAll(text, []byte(`from "`+strings.Repeat("../", depth)+`$1"`))
		}
	}
}

type described map[string]map[string]map[string][2]string

func describe(language, path string) error {
	pkg, err := load(path)
	if err != nil {
		return err
	}
	var helper codegen.DocLanguageHelper
	switch language {
	case "nodejs":
		helper = nodejs.DocLanguageHelper{}
	case "go":
		known := &golang.DocLanguageHelper{}
		known.GeneratePackagesMap(pkg.Reference(), tool, pkg.Language["go"].(golang.GoPackageInfo))
		helper = known
	default:
		return fmt.Errorf("LANGUAGE = %q, must be nodejs or go", language)
	}
	found := described{"inputs": {}, "outputs": {}, "fields": {}}
	add := func(section, token string, properties []*schema.Property, isInput bool) error {
		found[section][token] = map[string][2]string{}
		for _, property := range properties {
			name, err := helper.GetPropertyName(property)
			if err != nil {
				return err
			}
			kind := helper.GetTypeName(pkg.Reference(), property.Type, isInput, "")
			found[section][token][property.Name] = [2]string{name, kind}
		}
		return nil
	}
	for _, resource := range pkg.Resources {
		if err := add("inputs", resource.Token, resource.InputProperties, true); err != nil {
			return err
		}
		if err := add("outputs", resource.Token, resource.Properties, false); err != nil {
			return err
		}
	}
	for _, each := range pkg.Types {
		if shape, ok := each.(*schema.ObjectType); ok {
			if err := add("fields", shape.Token, shape.Properties, true); err != nil {
				return err
			}
		}
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}
