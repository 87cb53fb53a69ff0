package main

import (
	"bytes"
	"io"
	"log"

	"github.com/mitchellh/copystructure"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
)

// schemas has what was compiled of each text, or nil.
var schemas = map[string]*jsonschema.Schema{}

// meetsSchema says whether the values meet the chart's schema, which helm compiles with each call: a third of its time. If not, and of a
// chart with other charts in it, or a schema with references to files, it says false, and helm must look itself, and say why.
func meetsSchema(loaded *chart.Chart, given map[string]interface{}) bool {
	if loaded.Schema == nil || loaded.Metadata.Dependencies != nil || len(loaded.Dependencies()) > 0 {
		return false
	}
	text := string(loaded.Schema)
	schema, known := schemas[text]
	if !known {
		schema = compile(loaded.Schema)
		schemas[text] = schema
	}
	if schema == nil {
		return false
	}

	defaults, err := copystructure.Copy(loaded.Values) // to coalesce values may change them
	if err != nil {
		return false
	}
	copied := *loaded
	copied.Values, _ = defaults.(map[string]interface{})
	before := log.Writer()
	log.SetOutput(io.Discard) // helm says it, too
	defer log.SetOutput(before)
	whole, err := chartutil.CoalesceValues(&copied, given)
	return err == nil && schema.Validate(whole.AsMap()) == nil
}

// compile is what helm's ValidateAgainstSingleSchema does first.
func compile(text []byte) *jsonschema.Schema {
	const name = "file:///values.schema.json"
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(jsonschema.SchemeURLLoader{})
	if compiler.AddResource(name, document) != nil {
		return nil
	}
	schema, err := compiler.Compile(name)
	if err != nil {
		return nil
	}
	return schema
}
