package keda

import (
	"context"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"golang.org/x/net/dns/dnsmessage"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	"github.com/kedacore/keda/v2/pkg/scalers"
	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
	"github.com/kedacore/keda/v2/pkg/scaling/cache"
)

// 1. An error can read as "inactive": the HPA's request fails and closes the cache between two calls of KEDA's poll.
func TestWorkersStayWhenTheCacheIsClosedDuringAPoll(t *testing.T) {
	repeatedly(t, func(t *testing.T) {
		var calls atomic.Int32
		began, next, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
		address := serve(t, &server{
			metricSpec: func(ctx context.Context, _ *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
				switch calls.Add(1) {
				case 1: // KEDA's poll
					close(began)
					<-next
				case 2: // the HPA's request
				case 3: // the poll after the first one, which is therefore over
					close(ended)
					<-ctx.Done()
				}
				return specs(), nil
			},
			metrics: func() (*pb.GetMetricsResponse, error) { return nil, errAway },
		})
		object := scaledObject(trigger("external", address))
		c := newCluster(t, 8, object)
		c.start(t, object)
		wait(t, "poll", began)
		closing, err := c.handler.GetScalersCache(t.Context(), object)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.handler.GetScaledObjectMetrics(t.Context(), object.Name, namespace, "s0-jobs"); err == nil {
			t.Fatal("the test is wrong: the HPA got a value")
		}
		waitUntil(t, "the cache is not closed", func() bool {
			_, err := closing.GetMetricSpecForScalingForScaler(t.Context(), -1)
			return err == cache.ErrCacheClosed
		})
		close(next)
		wait(t, "second poll", ended)
		if number := c.replicas.Load(); number != 8 {
			t.Errorf("KEDA: every answer was an error, and the workers were scaled from 8 to %d", number)
		}
	})
}

// 1. The same, closed between KEDA's look-up of the cache and that of its scalers.
func TestWorkersStayWhenTheCacheIsClosedBeforeAPoll(t *testing.T) {
	repeatedly(t, func(t *testing.T) {
		address := serve(t, &server{metrics: func() (*pb.GetMetricsResponse, error) { return nil, errAway }})
		object := scaledObject(trigger("external", address))
		c := newCluster(t, 8, object)
		closed, err := c.handler.GetScalersCache(t.Context(), object)
		if err != nil {
			t.Fatal(err)
		}
		closed.Close(t.Context())
		c.start(t, object)
		waitUntil(t, "KEDA does not poll", func() bool { return c.gets.Load() >= 4 }) // two each, if it sets the status
		if number := c.replicas.Load(); number != 8 {
			t.Errorf("KEDA: its list of scalers was empty, and the workers were scaled from 8 to %d", number)
		}
	})
}

// 2. An error clears the cache; the connection under the push stream must not be closed with it.
func TestAPushStreamOutlivesAnError(t *testing.T) {
	repeatedly(t, func(t *testing.T) {
		streams := make(chan pb.ExternalScaler_StreamIsActiveServer, 100)
		address := serve(t, &server{isActive: func(stream pb.ExternalScaler_StreamIsActiveServer) error {
			streams <- stream
			<-stream.Context().Done()
			return nil
		}})
		object := scaledObject(trigger("external-push", address))
		*object.Spec.PollingInterval = 300
		c := newCluster(t, 0, object)
		c.start(t, object)
		stream := wait(t, "stream", streams)
		waitUntil(t, "KEDA does not poll", func() bool { return c.patches.Load() >= 1 })
		found, err := c.handler.GetScalersCache(t.Context(), object)
		if err != nil {
			t.Fatal(err)
		}
		scaler := found.GetPushScalers()[0].Scaler
		if err := c.handler.ClearScalersCache(t.Context(), object); err != nil { // as it does after each error
			t.Fatal(err)
		}
		_ = scaler.Close(t.Context()) // done once; so it returns when KEDA has done it
		_ = stream.Send(&pb.IsActiveResponse{Result: true})
		waitUntil(t, "the stream is open, and nothing was scaled", func() bool {
			return stream.Context().Err() != nil || c.replicas.Load() == 1
		})
		if c.replicas.Load() != 1 {
			t.Error("KEDA: it closed the connection under an open push stream: the notification is lost")
		}
	})
}

var (
	delays     sync.Map // name of the scaled object: chan string, with the delays before a stream is opened again
	loggedName = regexp.MustCompile(`"name"="([^"]+)"`)
	loggedTime = regexp.MustCompile(`"msg"="StreamIsActive retry backoff".* "duration"="([^"]+)"`)
)

func init() {
	logf.SetLogger(funcr.New(func(_, line string) {
		name, found := loggedName.FindStringSubmatch(line), loggedTime.FindStringSubmatch(line)
		if name != nil && found != nil {
			if listener, ok := delays.Load(name[1]); ok {
				listener.(chan string) <- found[1]
			}
		}
	}, funcr.Options{Verbosity: 1}))
}

func configuration(name, address string) *scalersconfig.ScalerConfig {
	return &scalersconfig.ScalerConfig{ScalableObjectName: name, ScalableObjectNamespace: namespace,
		TriggerMetadata: map[string]string{"scalerAddress": address}}
}

// 3. A stream that was open and is lost again is opened again as soon as the first time.
func TestTheDelayOfAStreamStartsAgain(t *testing.T) {
	repeatedly(t, func(t *testing.T) {
		lose := make(chan struct{})
		address := serve(t, &server{isActive: func(stream pb.ExternalScaler_StreamIsActiveServer) error {
			_ = stream.Send(&pb.IsActiveResponse{Result: true})
			<-lose
			return status.Error(codes.Unavailable, "the server crashed")
		}})
		scaler, err := scalers.NewExternalPushScaler(configuration(t.Name(), address))
		if err != nil {
			t.Fatal(err)
		}
		found, active := make(chan string, 100), make(chan bool)
		delays.Store(t.Name(), found)
		go scaler.Run(t.Context(), active)
		var waited []string
		for range 2 {
			wait(t, "notification", active)
			lose <- struct{}{}
			waited = append(waited, wait(t, "delay", found))
		}
		if waited[0] != waited[1] {
			t.Errorf("KEDA: it waits %s after the first loss of a stream, and %s after the next, though the stream was open between them",
				waited[0], waited[1])
		}
	})
}

// 4. An event says why GetMetricSpec failed.
func TestAnEventSaysWhyGetMetricSpecFailed(t *testing.T) {
	repeatedly(t, func(t *testing.T) {
		const reason = "the client certificate is not admitted"
		address := serve(t, &server{metricSpec: func(context.Context, *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
			return nil, status.Error(codes.PermissionDenied, reason)
		}})
		object := scaledObject(trigger("external", address))
		*object.Spec.PollingInterval = 300
		c := newCluster(t, 0, object)
		c.start(t, object)
		event := ""
		for !strings.Contains(event, "KEDAScalerFailed") {
			event = wait(t, "event", c.events)
		}
		if !strings.Contains(event, reason) {
			t.Errorf("KEDA: GetMetricSpec failed because %q, and the event says %q", reason, event)
		}
	})
}

// 5. Fallback to the current replicas of a workload that has none.
func TestFallbackToTheCurrentReplicasLeavesNone(t *testing.T) {
	repeatedly(t, func(t *testing.T) {
		var calls atomic.Int32
		ended := make(chan struct{})
		address := serve(t, &server{
			metricSpec: func(ctx context.Context, _ *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
				if calls.Add(1) == 2 { // the first poll is over
					close(ended)
					<-ctx.Done()
				}
				return specs(), nil
			},
			metrics: func() (*pb.GetMetricsResponse, error) { return nil, errAway },
		})
		object := scaledObject(trigger("external", address))
		object.Spec.Fallback = &v1alpha1.Fallback{FailureThreshold: 0, Replicas: 6, Behavior: v1alpha1.FallbackBehaviorCurrentReplicas}
		c := newCluster(t, 0, object)
		c.start(t, object)
		wait(t, "second poll", ended)
		if number := c.replicas.Load(); number != 0 {
			t.Errorf("KEDA: fallback to the current replicas, which were 0, started %d", number)
		}
	})
}

// A DNS server with one name, for which the test gives the address.
type names struct {
	address atomic.Pointer[[4]byte]
	queries atomic.Int32 // for addresses
}

func (n *names) serve(t *testing.T) string {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			length, peer, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			var query dnsmessage.Message
			if query.Unpack(buffer[:length]) != nil || len(query.Questions) != 1 {
				continue
			}
			reply := dnsmessage.Message{Header: dnsmessage.Header{ID: query.ID, Response: true, RecursionAvailable: true}, Questions: query.Questions}
			if question := query.Questions[0]; question.Type == dnsmessage.TypeA {
				n.queries.Add(1)
				reply.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET},
					Body: &dnsmessage.AResource{A: *n.address.Load()}}}
			}
			if packed, err := reply.Pack(); err == nil {
				_, _ = socket.WriteTo(packed, peer)
			}
		}
	}()
	return socket.LocalAddr().String()
}

// 6. The server has moved, DNS knows, and calls fail: KEDA must ask DNS again. gRPC does so 30 s after the last time at
// the soonest; the test waits for a sixth of that.
func TestDNSIsAskedAgainWhenCallsFail(t *testing.T) {
	repeatedly(t, func(t *testing.T) {
		var known names
		known.address.Store(&[4]byte{127, 0, 0, 2})
		first, err := net.Listen("tcp", "127.0.0.2:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(first.Addr().String())
		before := serveAt(t, &server{}, first)
		scaler, err := scalers.NewExternalScaler(configuration(t.Name(), "dns://"+known.serve(t)+"/scaler.test.:"+port))
		if err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "KEDA cannot call", func() bool { return len(scaler.GetMetricSpecForScaling(t.Context())) == 1 })
		second, err := net.Listen("tcp", "127.0.0.3:"+port)
		if err != nil {
			t.Fatal(err)
		}
		serveAt(t, &server{}, second)
		known.address.Store(&[4]byte{127, 0, 0, 3})
		queries, failed := known.queries.Load(), 0
		before.Stop()
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			if len(scaler.GetMetricSpecForScaling(t.Context())) == 1 {
				return
			}
			failed++
		}
		t.Errorf("KEDA: %d calls failed after the server had moved, and DNS was asked %d times meanwhile", failed, known.queries.Load()-queries)
	})
}

// notifies makes a server whose push stream sends two notifications when the test says so.
func notifies(away *atomic.Bool) (*server, chan struct{}) {
	release := make(chan struct{})
	return &server{
		metricSpec: func(context.Context, *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
			if away.Load() {
				return nil, errAway
			}
			return specs(), nil
		},
		isActive: func(stream pb.ExternalScaler_StreamIsActiveServer) error {
			<-release
			for range 2 {
				_ = stream.Send(&pb.IsActiveResponse{Result: true})
			}
			<-stream.Context().Done()
			return nil
		},
	}, release
}

// notified returns when KEDA is done with the first of two notifications.
func (c *cluster) notified(t *testing.T, release chan struct{}) {
	t.Helper()
	waitUntil(t, "KEDA does not poll", func() bool { return c.patches.Load() >= 1 })
	gets := c.gets.Load()
	close(release)
	waitUntil(t, "KEDA reads no notification", func() bool { return c.gets.Load() >= gets+2 })
}

// 7. A notification that comes before the status has names of metrics.
func TestTheFirstNotificationScales(t *testing.T) {
	repeatedly(t, func(t *testing.T) {
		scaler, release := notifies(&atomic.Bool{})
		object := scaledObject(trigger("external-push", serve(t, scaler)))
		*object.Spec.PollingInterval = 300
		object.Status.ExternalMetricNames = nil
		c := newCluster(t, 0, object)
		c.start(t, object)
		c.notified(t, release)
		if c.replicas.Load() != 1 {
			t.Error("KEDA: the first notification of a new ScaledObject was dropped")
		}
	})
}

// 8. A ScaledJob that is reconciled twice. The test below runs in a process of its own, which may end by a panic.
func TestAScaledJobWithTwoStreamsDoesNotPanic(t *testing.T) {
	repeatedly(t, func(t *testing.T) {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestScaledJobAlone$")
		child.Env = append(os.Environ(), "SCALED_JOB_ALONE=1")
		output, err := child.CombinedOutput()
		if strings.Contains(string(output), "send on closed channel") {
			t.Error("KEDA: the operator panics: send on closed channel")
		} else if err != nil {
			t.Fatalf("the test is wrong: %v\n%s", err, output)
		}
	})
}

func TestScaledJobAlone(t *testing.T) {
	if os.Getenv("SCALED_JOB_ALONE") == "" {
		t.Skip("part of TestAScaledJobWithTwoStreamsDoesNotPanic")
	}
	streams := make(chan pb.ExternalScaler_StreamMetricSpecServer, 10)
	address := serve(t, &server{metricSpecs: func(stream pb.ExternalScaler_StreamMetricSpecServer) error {
		streams <- stream
		<-stream.Context().Done()
		return nil
	}})
	job := &v1alpha1.ScaledJob{
		ObjectMeta: metav1.ObjectMeta{Name: "job", Namespace: namespace, Generation: 1},
		Spec: v1alpha1.ScaledJobSpec{Triggers: []v1alpha1.ScaleTriggers{trigger("external-push", address)},
			JobTargetRef: &batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "job"}}}}}},
	}
	c := newCluster(t, 0, job)
	never := make(chan struct{})
	c.beforeJob = func() { <-never } // Kubernetes is slow: no poll ends, which would clear the cache
	c.start(t, job)
	wait(t, "first stream", streams)
	found, err := c.handler.GetScalersCache(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	c.start(t, job) // it is reconciled again, with the same scaler
	select {
	case second := <-streams:
		waitUntil(t, "the channel is open", func() bool {
			select {
			case _, open := <-found.GetPushScalers()[0].Scaler.(scalers.MetricSpecStreamer).MetricSpecChan():
				return !open
			default:
				return false
			}
		})
		_ = second.Send(specs())
		time.Sleep(time.Second) // for what must not happen
	case <-time.After(5 * time.Second): // no second stream, or none with a ScaledJob: solved
	}
}

// twoTriggers are one that a test takes away, with these metric specs to stream, and one that answers.
func twoTriggers(t *testing.T, kind string, streamed ...*pb.GetMetricSpecResponse) (*v1alpha1.ScaledObject, *atomic.Bool, chan struct{}) {
	away := &atomic.Bool{}
	scaler, release := notifies(away)
	if len(streamed) > 0 {
		scaler.metricSpecs = func(stream pb.ExternalScaler_StreamMetricSpecServer) error {
			for _, found := range streamed {
				_ = stream.Send(found)
			}
			<-stream.Context().Done()
			return nil
		}
	}
	object := scaledObject(trigger(kind, serve(t, scaler)), trigger("external", serve(t, &server{})))
	*object.Spec.PollingInterval = 300
	object.Status.ExternalMetricNames = nil
	return object, away, release
}

// metrics are those of the HPA.
func (c *cluster) metrics(t *testing.T, object *v1alpha1.ScaledObject) (found []string) {
	t.Helper()
	hpa := &autoscalingv2.HorizontalPodAutoscaler{}
	if err := c.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: getHPAName(object)}, hpa); err != nil {
		t.Fatal(err)
	}
	for _, metric := range hpa.Spec.Metrics {
		found = append(found, metric.External.Metric.Name)
	}
	return found
}

// reconcile makes the HPA, or changes it, as KEDA does for a ScaledObject that is new or has changed, and when it starts.
func (c *cluster) reconcile(t *testing.T, object *v1alpha1.ScaledObject) (err error) {
	t.Helper()
	current := &v1alpha1.ScaledObject{}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), current); err != nil {
		t.Fatal(err)
	}
	_, err = c.reconciler().ensureHPAForScaledObjectExists(t.Context(), logr.Discard(), current, &deployments)
	return err
}

func (c *cluster) reconciler() *ScaledObjectReconciler {
	return &ScaledObjectReconciler{Client: c, Scheme: c.Scheme(), ScaleHandler: c.handler}
}

// 9. One of two triggers was away while KEDA made the HPA: its notifications count when it is back (issue 8168).
func TestNotificationsOfATriggerThatWasAwayScale(t *testing.T) {
	repeatedly(t, func(t *testing.T) {
		object, away, release := twoTriggers(t, "external-push")
		c := newCluster(t, 0, object)
		away.Store(true)
		_ = c.reconcile(t, object)
		away.Store(false)
		c.start(t, object)
		patches := c.patches.Load()
		waitUntil(t, "KEDA does not poll", func() bool { return c.patches.Load() > patches })
		c.notified(t, release)
		select {
		case <-c.handler.MetricSpecReconcileChan(): // it repairs the status
		default:
			if c.replicas.Load() != 1 {
				t.Error("KEDA: notifications of a trigger that is back are dropped, and nothing repairs the ScaledObject's status")
			}
		}
	})
}

// 9. One of two triggers is away while a new operator reconciles: the HPA that exists must not lose its metric.
func TestTheHPAKeepsTheMetricOfATriggerThatIsAway(t *testing.T) {
	repeatedly(t, func(t *testing.T) {
		object, away, _ := twoTriggers(t, "external")
		c := newCluster(t, 8, object)
		if err := c.reconcile(t, object); err != nil {
			t.Fatal("the test is wrong: no HPA: ", err)
		}
		before := c.metrics(t, object)
		away.Store(true)
		if err := c.handler.ClearScalersCache(t.Context(), object); err != nil { // a new operator has none
			t.Fatal(err)
		}
		_ = c.reconcile(t, object)
		if after := c.metrics(t, object); len(after) != len(before) {
			t.Errorf("KEDA: the HPA had the metrics %v, and has %v since one trigger is away: it scales down by the others", before, after)
		}
	})
}

// What helps against 9: a trigger that is back and streams its metric specs is in the HPA and in the status again.
func TestAStreamOfMetricSpecsRepairs(t *testing.T) {
	repeatedly(t, func(t *testing.T) {
		object, away, _ := twoTriggers(t, "external-push", specs())
		c := newCluster(t, 0, object)
		away.Store(true)
		_ = c.reconcile(t, object)
		away.Store(false)
		c.start(t, object)
		wait(t, "request to reconcile", c.handler.MetricSpecReconcileChan())
		if err := c.reconcile(t, object); err != nil {
			t.Fatal(err)
		}
		if found := c.metrics(t, object); len(found) != 2 {
			t.Errorf("KEDA: the HPA has %v", found)
		}
	})
}
