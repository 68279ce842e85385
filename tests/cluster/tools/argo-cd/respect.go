package main

import (
	"encoding/json"
	"fmt"
	"reflect"

	argodiff "github.com/argoproj/argo-cd/v3/util/argo/diff"
	jsonpatch "github.com/evanphx/json-patch"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/kubectl/pkg/util/openapi"
)

// The object that a sync sends with RespectIgnoreDifferences. Argo CD builds it in its controller, which is no package for
// others; this is written after what its sync.go is seen to do with these two kinds: what is ignored is taken out of the live
// object and of the target, and what that took out of the live one is put into the target, as a merge patch. Argo CD 3.5
// makes it a JSON merge patch, 3.6 a strategic one by the schema that the API server publishes: both are made here, and
// have to agree.
func withIgnoredFieldsOf(live, target *unstructured.Unstructured, schema openapi.Resources, settings argodiff.DiffConfig) (*unstructured.Unstructured, error) {
	normalized, err := argodiff.Normalize([]*unstructured.Unstructured{live}, []*unstructured.Unstructured{target}, settings)
	if err != nil {
		return nil, err
	}
	bare := map[string]any{}
	for key, value := range live.Object {
		if key != "status" {
			bare[key] = value
		}
	}
	stripped := normalized.Lives[0].DeepCopy().Object
	delete(stripped, "status")
	merged, err := mergePatched(stripped, bare, normalized.Targets[0].Object)
	if err != nil {
		return nil, err
	}
	if known := schema.LookupResource(target.GroupVersionKind()); known != nil {
		strategic, err := strategicallyPatched(stripped, bare, normalized.Targets[0].Object, strategicpatch.NewPatchMetaFromOpenAPI(known))
		if err != nil {
			return nil, err
		}
		if !reflect.DeepEqual(merged, strategic) {
			return nil, fmt.Errorf("a JSON merge patch gives %v, a strategic one %v", merged, strategic)
		}
	}
	return &unstructured.Unstructured{Object: merged}, nil
}

func mergePatched(from, to, target map[string]any) (map[string]any, error) {
	fromText, toText, targetText, err := encoded(from, to, target)
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.CreateMergePatch(fromText, toText)
	if err != nil {
		return nil, err
	}
	text, err := jsonpatch.MergePatch(targetText, patch)
	if err != nil {
		return nil, err
	}
	return decoded(text)
}

func strategicallyPatched(from, to, target map[string]any, meta strategicpatch.LookupPatchMeta) (map[string]any, error) {
	fromText, toText, targetText, err := encoded(from, to, target)
	if err != nil {
		return nil, err
	}
	text, err := strategicpatch.CreateThreeWayMergePatch(toText, toText, fromText, meta, true)
	if err != nil {
		return nil, err
	}
	patch, err := decoded(text)
	if err != nil {
		return nil, err
	}
	copied, err := decoded(targetText)
	if err != nil {
		return nil, err
	}
	patched, err := strategicpatch.StrategicMergeMapPatchUsingLookupPatchMeta(copied, patch, meta)
	if err != nil {
		return nil, err
	}
	if text, err = json.Marshal(patched); err != nil {
		return nil, err
	}
	return decoded(text)
}

func encoded(one, two, three map[string]any) (a, b, c []byte, err error) {
	for i, object := range []map[string]any{one, two, three} {
		text, err := json.Marshal(object)
		if err != nil {
			return nil, nil, nil, err
		}
		*[]*[]byte{&a, &b, &c}[i] = text
	}
	return a, b, c, nil
}

func decoded(text []byte) (map[string]any, error) {
	object := map[string]any{}
	// Numbers as the API machinery has them.
	wrapped := &unstructured.Unstructured{}
	if err := wrapped.UnmarshalJSON(text); err == nil {
		return wrapped.Object, nil
	}
	return object, json.Unmarshal(text, &object)
}
