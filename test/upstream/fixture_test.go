// What the tests of KEDA's problems share: an external scaler, a fake Kubernetes and KEDA's own scale handler on both.
//
// These files are laid over KEDA's package controllers/keda (see README.md): they need neither a cluster nor Backlog.
// A test fails as long as the problem exists. The order of events is injected, so each does so every time.
package keda

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/scale"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	"github.com/kedacore/keda/v2/pkg/scalers/authentication"
	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"github.com/kedacore/keda/v2/pkg/scaling"
)

const (
	namespace = "default"
	limit     = 60 * time.Second // for what must happen at once; only a test that hangs reaches it
	times     = 20               // each test is run so often, beside itself
)

func repeatedly(t *testing.T, run func(t *testing.T)) {
	t.Parallel()
	for number := range times {
		t.Run(fmt.Sprint(number), func(t *testing.T) {
			t.Parallel()
			run(t)
		})
	}
}

// wait fails the test unless a value arrives, or the channel is closed.
func wait[T any](t *testing.T, what string, found <-chan T) T {
	t.Helper()
	select {
	case value := <-found:
		return value
	case <-time.After(limit):
		t.Fatalf("the test is wrong: no %s", what)
		panic("unreachable")
	}
}

func waitUntil(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the test is wrong: %s", what)
		}
	}
}

// An external scaler that does what a test wants. Whatever is nil answers as a healthy, idle one.
type server struct {
	pb.UnimplementedExternalScalerServer
	metricSpec  func(ctx context.Context, ref *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error)
	metrics     func() (*pb.GetMetricsResponse, error)
	active      bool
	isActive    func(stream pb.ExternalScaler_StreamIsActiveServer) error
	metricSpecs func(stream pb.ExternalScaler_StreamMetricSpecServer) error
}

var errAway = status.Error(codes.Unavailable, "the broker is away")

func specs() *pb.GetMetricSpecResponse {
	return &pb.GetMetricSpecResponse{MetricSpecs: []*pb.MetricSpec{{MetricName: "jobs", TargetSize: 5, TargetSizeFloat: 5}}}
}

func (s *server) GetMetricSpec(ctx context.Context, ref *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
	if s.metricSpec != nil {
		return s.metricSpec(ctx, ref)
	}
	return specs(), nil
}

func (s *server) GetMetrics(context.Context, *pb.GetMetricsRequest) (*pb.GetMetricsResponse, error) {
	if s.metrics != nil {
		return s.metrics()
	}
	return &pb.GetMetricsResponse{MetricValues: []*pb.MetricValue{{MetricName: "jobs"}}}, nil
}

func (s *server) IsActive(context.Context, *pb.ScaledObjectRef) (*pb.IsActiveResponse, error) {
	return &pb.IsActiveResponse{Result: s.active}, nil
}

func (s *server) StreamIsActive(_ *pb.ScaledObjectRef, stream pb.ExternalScaler_StreamIsActiveServer) error {
	if s.isActive != nil {
		return s.isActive(stream)
	}
	<-stream.Context().Done()
	return nil
}

func (s *server) StreamMetricSpec(_ *pb.ScaledObjectRef, stream pb.ExternalScaler_StreamMetricSpecServer) error {
	if s.metricSpecs != nil {
		return s.metricSpecs(stream)
	}
	return status.Error(codes.Unimplemented, "no StreamMetricSpec")
}

// serve returns the address; the server ends with the test.
func serve(t *testing.T, scaler *server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveAt(t, scaler, listener)
	return listener.Addr().String()
}

func serveAt(t *testing.T, scaler *server, listener net.Listener) *grpc.Server {
	t.Helper()
	found := grpc.NewServer()
	pb.RegisterExternalScalerServer(found, scaler)
	go func() { _ = found.Serve(listener) }()
	t.Cleanup(found.Stop)
	return found
}

func trigger(kind, address string) v1alpha1.ScaleTriggers {
	return v1alpha1.ScaleTriggers{Type: kind, Metadata: map[string]string{"scalerAddress": address}}
}

// The first events; the others are dropped.
type recorder chan string

func (r recorder) Eventf(_, _ runtime.Object, kind, reason, _, note string, arguments ...any) {
	select {
	case r <- fmt.Sprintf(kind+" "+reason+" "+note, arguments...):
	default:
	}
}

// A fake Kubernetes with one Deployment, and KEDA's scale handler on it.
type cluster struct {
	client.Client
	handler  scaling.ScaleHandler
	events   recorder
	replicas atomic.Int32 // of the Deployment
	gets     atomic.Int32 // how often KEDA has read the ScaledObject
	patches  atomic.Int32 // of its status
	// called before KEDA reads a ScaledJob, if set
	beforeJob func()
}

var deployments = v1alpha1.GroupVersionKindResource{Group: "apps", Version: "v1", Kind: "Deployment", Resource: "deployments"}

// scaledObject has been active an hour ago, so that its cooldown is over, and is polled without a pause.
func scaledObject(triggers ...v1alpha1.ScaleTriggers) *v1alpha1.ScaledObject {
	interval, cooldown, least := int32(0), int32(15), int32(0)
	found := &v1alpha1.ScaledObject{
		ObjectMeta: metav1.ObjectMeta{Name: "worker", Namespace: namespace, UID: "1", Generation: 1},
		Spec: v1alpha1.ScaledObjectSpec{
			ScaleTargetRef:  &v1alpha1.ScaleTarget{Name: "worker"},
			PollingInterval: &interval, CooldownPeriod: &cooldown, MinReplicaCount: &least, Triggers: triggers,
		},
		Status: v1alpha1.ScaledObjectStatus{
			ScaleTargetKind: "apps/v1.Deployment", ScaleTargetGVKR: &deployments,
			LastActiveTime:      &metav1.Time{Time: time.Now().Add(-time.Hour)},
			Conditions:          *v1alpha1.GetInitializedConditions(),
			ExternalMetricNames: []string{"s0-jobs"},
		},
	}
	return found
}

var kinds = sync.OnceValue(func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, appsv1.AddToScheme, autoscalingv2.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return scheme
})

func newCluster(t *testing.T, replicas int32, objects ...client.Object) *cluster {
	t.Helper()
	scheme := kinds()
	found := &cluster{events: make(recorder, 100)}
	found.replicas.Store(replicas)
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "worker", Namespace: namespace}}
	found.Client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(objects, deployment)...).
		WithTypeConverters(managedfields.NewDeducedTypeConverter()). // the default one takes long to make
		WithStatusSubresource(&v1alpha1.ScaledObject{}, &v1alpha1.ScaledJob{}).
		WithInterceptorFuncs(interceptor.Funcs{
			Get: func(ctx context.Context, base client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
				if _, is := object.(*v1alpha1.ScaledJob); is && found.beforeJob != nil {
					found.beforeJob()
				}
				err := base.Get(ctx, key, object, options...)
				switch object := object.(type) {
				case *appsv1.Deployment:
					number := found.replicas.Load()
					object.Spec.Replicas = &number
				case *v1alpha1.ScaledObject:
					found.gets.Add(1)
				}
				return err
			},
			SubResourcePatch: func(ctx context.Context, base client.Client, name string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
				err := base.SubResource(name).Patch(ctx, object, patch, options...)
				found.patches.Add(1)
				return err
			},
		}).Build()
	found.handler = scaling.NewScaleHandler(found, found, scheme, limit, limit, found.events, &authentication.AuthClientSet{})
	return found
}

// start makes the scalers and begins to poll them and to read their streams, until the test ends.
func (c *cluster) start(t *testing.T, object v1alpha1.ScalableObject) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	if _, err := c.handler.GetScalersCache(ctx, object); err != nil { // the reconciler has done so
		t.Fatal(err)
	}
	if err := c.handler.HandleScalableObject(ctx, object); err != nil {
		t.Fatal(err)
	}
}

// The scale subresource of the Deployment.
func (c *cluster) Scales(string) scale.ScaleInterface { return scales{c} }

type scales struct{ *cluster }

func (c scales) Get(context.Context, schema.GroupResource, string, metav1.GetOptions) (*autoscalingv1.Scale, error) {
	return &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: c.replicas.Load()}}, nil
}

func (c scales) Update(_ context.Context, _ schema.GroupResource, found *autoscalingv1.Scale, _ metav1.UpdateOptions) (*autoscalingv1.Scale, error) {
	c.replicas.Store(found.Spec.Replicas)
	return found, nil
}

func (c scales) Patch(context.Context, schema.GroupVersionResource, string, types.PatchType, []byte, metav1.PatchOptions) (*autoscalingv1.Scale, error) {
	return nil, fmt.Errorf("the test is wrong: KEDA patches a scale")
}
