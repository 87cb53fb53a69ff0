// Keda answers what KEDA's own scalers measure: a question a line on its input, an answer a line on its output, in JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kedacore/keda/v2/pkg/scalers"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
)

const (
	httpTimeout     = 3 * time.Second // KEDA_HTTP_DEFAULT_TIMEOUT, where nobody sets it
	questionTimeout = 20 * time.Second
)

// A question is a trigger, as the operator hands it to the scaler of its type.
type question struct {
	Type     string            `json:"type"`
	Metadata map[string]string `json:"metadata"`
	Env      map[string]string `json:"env"`
	Auth     map[string]string `json:"auth"`
	Calls    int               `json:"calls"` // of one scaler; the last one's answer counts
}

type answer struct {
	Metric string      `json:"metric,omitempty"`
	Target json.Number `json:"target,omitempty"`
	Value  json.Number `json:"value,omitempty"`
	Active bool        `json:"active"`
	Error  string      `json:"error,omitempty"`
}

type constructor func(context.Context, *scalersconfig.ScalerConfig) (scalers.Scaler, error)

func withoutContext(construct func(*scalersconfig.ScalerConfig) (scalers.Scaler, error)) constructor {
	return func(_ context.Context, config *scalersconfig.ScalerConfig) (scalers.Scaler, error) {
		return construct(config)
	}
}

// Of a scaler that asks the Kubernetes API only for what no question has.
func withoutClient(construct func(*scalersconfig.ScalerConfig, client.Client) (scalers.Scaler, error)) constructor {
	return func(_ context.Context, config *scalersconfig.ScalerConfig) (scalers.Scaler, error) {
		return construct(config, nil)
	}
}

type redisConstructor func(ctx context.Context, isClustered, isSentinel bool, config *scalersconfig.ScalerConfig) (scalers.Scaler, error)

func standalone(construct redisConstructor) constructor {
	return func(ctx context.Context, config *scalersconfig.ScalerConfig) (scalers.Scaler, error) {
		return construct(ctx, false, false, config)
	}
}

func bySentinel(construct redisConstructor) constructor {
	return func(ctx context.Context, config *scalersconfig.ScalerConfig) (scalers.Scaler, error) {
		return construct(ctx, false, true, config)
	}
}

func clustered(construct redisConstructor) constructor {
	return func(ctx context.Context, config *scalersconfig.ScalerConfig) (scalers.Scaler, error) {
		return construct(ctx, true, false, config)
	}
}

var constructors = map[string]constructor{
	"apache-kafka":   scalers.NewApacheKafkaScaler,
	"external":       withoutContext(scalers.NewExternalScaler),
	"kafka":          scalers.NewKafkaScaler,
	"metrics-api":    withoutClient(scalers.NewMetricsAPIScaler),
	"nats-jetstream": withoutContext(scalers.NewNATSJetStreamScaler),
	"postgresql":     scalers.NewPostgreSQLScaler,
	"prometheus":     withoutContext(scalers.NewPrometheusScaler),
	"rabbitmq":       withoutContext(scalers.NewRabbitMQScaler),
	"redis":          standalone(scalers.NewRedisScaler),
	"redis-streams":  standalone(scalers.NewRedisStreamsScaler),

	"redis-sentinel":         bySentinel(scalers.NewRedisScaler),
	"redis-sentinel-streams": bySentinel(scalers.NewRedisStreamsScaler),
	"redis-cluster":          clustered(scalers.NewRedisScaler),
	"redis-cluster-streams":  clustered(scalers.NewRedisStreamsScaler),
}

func number(quantity *resource.Quantity) json.Number {
	return json.Number(quantity.AsDec().String())
}

func newScaler(ctx context.Context, asked question) (scalers.Scaler, error) {
	construct, known := constructors[asked.Type]
	if !known {
		return nil, fmt.Errorf("no scaler %q here", asked.Type)
	}
	return construct(ctx, &scalersconfig.ScalerConfig{
		ScalableObjectName:      "orders",
		ScalableObjectNamespace: "shop",
		ScalableObjectType:      "ScaledObject",
		GlobalHTTPTimeout:       httpTimeout,
		TriggerType:             asked.Type,
		TriggerMetadata:         asked.Metadata,
		ResolvedEnv:             asked.Env,
		AuthParams:              asked.Auth,
	})
}

func ask(asked question) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), questionTimeout)
	defer cancel()

	scaler, err := newScaler(ctx, asked)
	if err != nil {
		return answer{}, err
	}
	defer scaler.Close(ctx)

	specs := scaler.GetMetricSpecForScaling(ctx)
	if len(specs) != 1 {
		return answer{}, fmt.Errorf("%d metric specs", len(specs))
	}
	spec := specs[0].External
	metric, err := scalers.RemoveIndexFromMetricName(0, spec.Metric.Name)
	if err != nil {
		return answer{}, err
	}
	found := answer{Metric: metric, Target: number(spec.Target.AverageValue)}
	for range max(1, asked.Calls) {
		values, active, err := scaler.GetMetricsAndActivity(ctx, spec.Metric.Name)
		if err != nil {
			return found, err
		}
		if len(values) != 1 {
			return found, errors.New("not one value")
		}
		found.Value, found.Active = number(&values[0].Value), active
	}
	return found, nil
}

func main() {
	period := flag.Duration("poll", 0, "keep a scaler for each question, and poll it once in this time")
	duration := flag.Duration("for", time.Minute, "with -poll")
	flag.Parse()
	ctrllog.SetLogger(logr.Discard())
	if *period > 0 {
		poll(*period, *duration)
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatalf("not a question: %v", err)
		}
		found, err := ask(asked)
		if err != nil {
			found.Error = err.Error()
		}
		if err := answers.Encode(found); err != nil {
			log.Fatal(err)
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}
