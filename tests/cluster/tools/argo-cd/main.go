// Argo-cd-compare shows what Argo CD does with one object: whether its Application is in sync, and what a sync sends and
// leaves. Comparison, normalisation and sync are Argo CD's own packages; its controller, repository server and cache
// are left out.
//
//	argo-cd-compare --kubeconfig FILE --application FILE --manifest FILE [--sync]
//
// It prints a JSON document.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"sort"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync"
	synccommon "github.com/argoproj/argo-cd/gitops-engine/pkg/sync/common"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync/resource"
	enginekube "github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/argo-cd/v3/common"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/argo"
	argodiff "github.com/argoproj/argo-cd/v3/util/argo/diff"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	"github.com/argoproj/argo-cd/v3/util/kube"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/kubectl/pkg/util/openapi"
	"sigs.k8s.io/yaml"
)

// A sync of one object takes less than a second, and on a busy machine an answer of the API server much longer.
const patience = 3 * time.Minute

// Outcome is what is printed.
type outcome struct {
	// Synced or OutOfSync, as the Application's status has it.
	Status string `json:"status"`
	// The fields that differ, where it is out of sync.
	Differs []string `json:"differs"`
	// The object that a sync sends.
	Sent map[string]any `json:"sent,omitempty"`
	// The phase of the sync, and what became of the object.
	Sync *synced `json:"sync,omitempty"`
}

type synced struct {
	Phase   string `json:"phase"`
	Message string `json:"message"`
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "of the cluster")
	application := flag.String("application", "", "the manifest of the Application")
	manifest := flag.String("manifest", "", "the object as it stands in the repository")
	isSync := flag.Bool("sync", false, "sync it too")
	flag.Parse()
	if err := run(*kubeconfig, *application, *manifest, *isSync); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(kubeconfig, application, manifest string, isSync bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	// Discovery gives up after 32 s by itself.
	config.Timeout = patience
	var app v1alpha1.Application
	var target unstructured.Unstructured
	if err := readFile(application, &app); err != nil {
		return err
	}
	if err := readFile(manifest, &target.Object); err != nil {
		return err
	}
	tracking := argo.NewResourceTracking()
	err = tracking.SetAppInstance(&target, common.LabelKeyAppInstance, app.Name, app.Namespace, v1alpha1.TrackingMethodAnnotation, "")
	if err != nil {
		return err
	}
	kubectl := kube.NewKubectl()
	live, err := kubectl.GetResource(ctx, config, target.GroupVersionKind(), target.GetName(), target.GetNamespace())
	if apierrors.IsNotFound(err) {
		live = nil
	} else if err != nil {
		return err
	}
	schema, settings, cleanup, err := compareSettings(config, kubectl, &app)
	if err != nil {
		return err
	}
	defer cleanup()
	result, err := argodiff.StateDiff(live, &target, settings)
	if err != nil {
		return err
	}
	found := outcome{Status: "Synced", Differs: []string{}}
	if result.Modified || live == nil {
		found.Status = "OutOfSync"
		if found.Differs, err = differing(result); err != nil {
			return err
		}
	}
	if isSync {
		sent := &target
		if live != nil && hasSyncOption(&app, "RespectIgnoreDifferences=true") {
			if sent, err = withIgnoredFieldsOf(live, &target, schema, settings); err != nil {
				return err
			}
		}
		found.Sent = sent.DeepCopy().Object
		if found.Sync, err = syncOne(ctx, config, kubectl, &app, live, sent); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

func readFile(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func hasSyncOption(app *v1alpha1.Application, option string) bool {
	return app.Spec.SyncPolicy != nil && app.Spec.SyncPolicy.SyncOptions.HasOption(option)
}

// What Argo CD's controller reads from an Application before it compares.
func compareSettings(config *rest.Config, kubectl enginekube.Kubectl, app *v1alpha1.Application) (openapi.Resources, argodiff.DiffConfig, func(), error) {
	schema, parser, err := kubectl.LoadOpenAPISchema(config)
	if err != nil {
		return nil, nil, nil, err
	}
	dryRuns, cleanup, err := kubectl.ManageServerSideDiffDryRuns(config)
	if err != nil {
		return nil, nil, nil, err
	}
	compare := func(option string) bool {
		return resource.HasAnnotationOption(app, common.AnnotationCompareOptions, option)
	}
	settings, err := argodiff.NewDiffConfigBuilder().
		WithDiffSettings(app.Spec.IgnoreDifferences, nil, true, normalizers.IgnoreNormalizerOpts{}).
		WithTracking(common.LabelKeyAppInstance, string(v1alpha1.TrackingMethodAnnotation)).
		WithNoCache().
		WithIgnoreMutationWebhook(!compare("IncludeMutationWebhook=true")).
		WithGVKParser(parser).
		WithManager(common.ArgoCDSSAManager).
		WithServerSideDiff(compare("ServerSideDiff=true")).
		WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(dryRuns)).
		WithStructuredMergeDiff(hasSyncOption(app, "ServerSideApply=true")).
		Build()
	return schema, settings, cleanup, err
}

// The paths at which the live object differs from the one that Argo CD expects.
func differing(result diff.DiffResult) ([]string, error) {
	var live, expected any
	if err := json.Unmarshal(result.NormalizedLive, &live); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(result.PredictedLive, &expected); err != nil {
		return nil, err
	}
	paths := []string{}
	collect("", live, expected, &paths)
	sort.Strings(paths)
	return paths, nil
}

func collect(path string, live, expected any, paths *[]string) {
	if reflect.DeepEqual(live, expected) {
		return
	}
	oneMap, isMap := live.(map[string]any)
	otherMap, isOtherMap := expected.(map[string]any)
	oneList, isList := live.([]any)
	otherList, isOtherList := expected.([]any)
	switch {
	case isMap && isOtherMap:
		keys := map[string]bool{}
		for key := range oneMap {
			keys[key] = true
		}
		for key := range otherMap {
			keys[key] = true
		}
		for key := range keys {
			collect(path+"."+key, oneMap[key], otherMap[key], paths)
		}
	case isList && isOtherList && len(oneList) == len(otherList):
		for i := range oneList {
			collect(fmt.Sprintf("%s[%d]", path, i), oneList[i], otherList[i], paths)
		}
	default:
		*paths = append(*paths, path)
	}
}

// The sync of one object, with the options of the Application.
func syncOne(ctx context.Context, config *rest.Config, kubectl enginekube.Kubectl, app *v1alpha1.Application, live, target *unstructured.Unstructured) (*synced, error) {
	objects := sync.ReconciliationResult{
		Live:   []*unstructured.Unstructured{live},
		Target: []*unstructured.Unstructured{target},
	}
	syncing, cleanup, err := sync.NewSyncContext("revision", objects, config, config, kubectl, target.GetNamespace(),
		sync.WithOperationSettings(false, false, false, false),
		sync.WithManifestValidation(true),
		sync.WithReplace(hasSyncOption(app, synccommon.SyncOptionReplace)),
		sync.WithServerSideApply(hasSyncOption(app, synccommon.SyncOptionServerSideApply)),
		sync.WithServerSideApplyManager(common.ArgoCDSSAManager),
	)
	if err != nil {
		return nil, err
	}
	defer cleanup()
	for {
		syncing.Sync()
		phase, message, objects := syncing.GetState()
		if phase.Completed() {
			for _, object := range objects {
				message = object.Message
			}
			return &synced{Phase: string(phase), Message: message}, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the sync is still %s: %s", phase, message)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
