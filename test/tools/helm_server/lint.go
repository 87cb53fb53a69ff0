package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/cli/values"
	"helm.sh/helm/v3/pkg/getter"
	"helm.sh/helm/v3/pkg/lint/support"
)

func newLint(settings *cli.EnvSettings, stdout io.Writer) *cobra.Command {
	client := action.NewLint()
	options := &values.Options{}
	var kubeVersion string

	command := &cobra.Command{
		Use: "lint PATH",
		RunE: func(_ *cobra.Command, paths []string) error {
			if len(paths) == 0 {
				paths = []string{"."}
			}
			if kubeVersion != "" {
				parsed, err := chartutil.ParseKubeVersion(kubeVersion)
				if err != nil {
					return fmt.Errorf("invalid kube version '%s': %s", kubeVersion, err)
				}
				client.KubeVersion = parsed
			}
			client.Namespace = settings.Namespace()
			given, err := options.MergeValues(getter.All(settings))
			if err != nil {
				return err
			}
			return lint(client, paths, given, stdout)
		},
	}
	flags := command.Flags()
	addValueFlags(flags, options)
	flags.StringVar(&kubeVersion, "kube-version", "", "")
	flags.BoolVar(&client.Strict, "strict", false, "")
	flags.BoolVar(&client.Quiet, "quiet", false, "")
	flags.BoolVar(&client.SkipSchemaValidation, "skip-schema-validation", false, "")
	return command
}

func lint(client *action.Lint, paths []string, given map[string]interface{}, stdout io.Writer) error {
	var text strings.Builder
	failed, noticed := 0, 0
	for _, path := range paths {
		result := client.Run([]string{path}, given)
		if action.HasWarningsOrErrors(result) {
			noticed++
		} else if client.Quiet {
			continue
		}
		fmt.Fprintf(&text, "==> Linting %s\n", path)
		if len(result.Messages) == 0 { // otherwise they are among them
			for _, err := range result.Errors {
				fmt.Fprintf(&text, "Error %s\n", err)
			}
		}
		for _, message := range result.Messages {
			if !client.Quiet || message.Severity > support.InfoSev {
				fmt.Fprintf(&text, "%s\n", message)
			}
		}
		if len(result.Errors) != 0 {
			failed++
		}
		fmt.Fprint(&text, "\n")
	}
	fmt.Fprint(stdout, text.String())
	summary := fmt.Sprintf("%d chart(s) linted, %d chart(s) failed", len(paths), failed)
	if failed > 0 {
		return errors.New(summary)
	}
	if !client.Quiet || noticed > 0 {
		fmt.Fprintln(stdout, summary)
	}
	return nil
}
