package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/pkg/errors"
	"github.com/spf13/cobra"
	"helm.sh/helm/v3/cmd/helm/require"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/cli/values"
	"helm.sh/helm/v3/pkg/getter"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
)

func newTemplate(settings *cli.EnvSettings, stdout, stderr io.Writer) *cobra.Command {
	config := new(action.Configuration)
	client := action.NewInstall(config)
	options := &values.Options{}
	var kubeVersion string
	var apiVersions, showOnly []string
	var skipTests bool

	command := &cobra.Command{
		Use:  "template [NAME] [CHART]",
		Args: require.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, words []string) error {
			if err := config.Init(settings.RESTClientGetter(), settings.Namespace(), os.Getenv("HELM_DRIVER"), noLog); err != nil {
				return err
			}
			if kubeVersion != "" {
				parsed, err := chartutil.ParseKubeVersion(kubeVersion)
				if err != nil {
					return fmt.Errorf("invalid kube version '%s': %s", kubeVersion, err)
				}
				client.KubeVersion = parsed
			}
			client.DryRunOption = "true"
			client.DryRun = true
			client.Replace = true // does not look for the name
			client.ClientOnly = true
			client.APIVersions = chartutil.VersionSet(apiVersions)
			rendered, err := install(client, settings, words, options, stderr)
			if err != nil && rendered != nil {
				return fmt.Errorf("%w\n\nUse --debug flag to render out invalid YAML", err)
			}
			if err != nil {
				return err
			}
			text := manifests(rendered, client.DisableHooks, skipTests)
			if len(showOnly) > 0 {
				return writeSome(stdout, text, showOnly)
			}
			_, err = io.WriteString(stdout, text)
			return err
		},
	}
	flags := command.Flags()
	addValueFlags(flags, options)
	flags.StringVar(&kubeVersion, "kube-version", "", "")
	flags.StringSliceVarP(&apiVersions, "api-versions", "a", []string{}, "")
	flags.StringArrayVarP(&showOnly, "show-only", "s", []string{}, "")
	flags.BoolVar(&skipTests, "skip-tests", false, "")
	flags.BoolVar(&client.IsUpgrade, "is-upgrade", false, "")
	flags.BoolVar(&client.DisableHooks, "no-hooks", false, "")
	flags.BoolVar(&client.IncludeCRDs, "include-crds", false, "")
	flags.BoolVar(&client.SkipSchemaValidation, "skip-schema-validation", false, "")
	flags.BoolVarP(&client.GenerateName, "generate-name", "g", false, "")
	flags.StringVar(&client.NameTemplate, "name-template", "", "")
	return command
}

// noLog leaves out what helm says with --debug.
func noLog(string, ...interface{}) {}

// install renders all of the release, which has a part of it beside some errors.
func install(client *action.Install, settings *cli.EnvSettings, words []string, options *values.Options,
	stderr io.Writer) (*release.Release, error) {
	name, path, err := client.NameAndChart(words)
	if err != nil {
		return nil, err
	}
	client.ReleaseName = name
	path, err = client.LocateChart(path, settings)
	if err != nil {
		return nil, err
	}
	given, err := options.MergeValues(getter.All(settings))
	if err != nil {
		return nil, err
	}
	chart, err := loader.Load(path)
	if err != nil {
		return nil, err
	}
	if chart.Metadata.Type != "" && chart.Metadata.Type != "application" {
		return nil, errors.Errorf("%s charts are not installable", chart.Metadata.Type)
	}
	if chart.Metadata.Deprecated {
		fmt.Fprintln(stderr, "WARNING: This chart is deprecated")
	}
	if needed := chart.Metadata.Dependencies; needed != nil {
		if err := action.CheckDependencies(chart, needed); err != nil {
			return nil, errors.Wrap(err, "An error occurred while checking for chart dependencies. "+
				"You may need to run `helm dependency build` to fetch missing dependencies")
		}
	}
	client.Namespace = settings.Namespace()
	client.SkipSchemaValidation = client.SkipSchemaValidation || meetsSchema(chart, given)
	return client.Run(chart, given)
}

// manifests is what `helm template` prints of a release.
func manifests(rendered *release.Release, noHooks, skipTests bool) string {
	var text bytes.Buffer
	fmt.Fprintln(&text, strings.TrimSpace(rendered.Manifest))
	for _, hook := range rendered.Hooks {
		if noHooks || skipTests && slices.Contains(hook.Events, release.HookTest) {
			continue
		}
		fmt.Fprintf(&text, "---\n# Source: %s\n%s\n", hook.Path, hook.Manifest)
	}
	return text.String()
}

var sourceLine = regexp.MustCompile("# Source: [^/]+/(.+)")

// writeSome writes those that --show-only names.
func writeSome(stdout io.Writer, text string, patterns []string) error {
	documents := releaseutil.SplitManifests(text)
	keys := make([]string, 0, len(documents))
	for key := range documents {
		keys = append(keys, key)
	}
	sort.Sort(releaseutil.BySplitManifestsOrder(keys))
	var found []string
	for _, pattern := range patterns {
		missing := true
		for _, key := range keys {
			source := sourceLine.FindStringSubmatch(documents[key])
			if len(source) == 0 {
				continue
			}
			if matched, _ := filepath.Match(pattern, source[1]); matched {
				found = append(found, documents[key])
				missing = false
			}
		}
		if missing {
			return fmt.Errorf("could not find template %s in chart", pattern)
		}
	}
	for _, document := range found {
		fmt.Fprintf(stdout, "---\n%s\n", document)
	}
	return nil
}
