// Says what the API server would of the manifests on stdin: the validation that it does beyond schemas, and
// whether pods meet the `restricted` level of pod security. Objects of other APIs are counted and left alone.
// Each problem is a line; the last line counts.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/autoscaling"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	autoscalingvalidation "k8s.io/kubernetes/pkg/apis/autoscaling/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	networkingvalidation "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
	"k8s.io/pod-security-admission/api"
	podsecurity "k8s.io/pod-security-admission/policy"
)

func main() {
	evaluator, err := podsecurity.NewEvaluator(podsecurity.DefaultChecks())
	if err != nil {
		fail(err)
	}
	checked, left, problems := 0, 0, 0
	reader := yaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fail(err)
		}
		object, kind, err := legacyscheme.Codecs.UniversalDeserializer().Decode(document, nil, nil)
		if runtime.IsNotRegisteredError(err) || runtime.IsMissingKind(err) {
			left++
			continue
		}
		if err != nil {
			fail(err)
		}
		// kubectl puts an object that names no namespace into one.
		if named, ok := object.(metav1.Object); ok && named.GetNamespace() == "" {
			named.SetNamespace("default")
		}
		checked++
		for _, problem := range append(violations(object), unsafe(evaluator, object)...) {
			problems++
			fmt.Printf("%s %s: %s\n", kind.Kind, nameOf(object), problem)
		}
	}
	fmt.Printf("%d checked, %d of other APIs, %d problems\n", checked, left, problems)
	if problems > 0 {
		os.Exit(1)
	}
}

// violations is what the API server refuses an object for when it is created.
func violations(object runtime.Object) []string {
	legacyscheme.Scheme.Default(object)
	internal, err := legacyscheme.Scheme.ConvertToVersion(object, runtime.InternalGroupVersioner)
	if err != nil {
		return []string{err.Error()}
	}
	var found field.ErrorList
	pods := corevalidation.PodValidationOptions{}
	switch typed := internal.(type) {
	case *apps.Deployment:
		found = appsvalidation.ValidateDeployment(typed, pods)
	case *apps.StatefulSet:
		found = appsvalidation.ValidateStatefulSet(typed, pods)
	case *core.Service:
		found = corevalidation.ValidateServiceCreate(typed)
	case *core.ConfigMap:
		found = corevalidation.ValidateConfigMap(typed)
	case *core.Secret:
		found = corevalidation.ValidateSecret(typed)
	case *core.ServiceAccount:
		found = corevalidation.ValidateServiceAccount(typed)
	case *policy.PodDisruptionBudget:
		found = policyvalidation.ValidatePodDisruptionBudget(typed, policyvalidation.PodDisruptionBudgetValidationOptions{})
	case *autoscaling.HorizontalPodAutoscaler:
		found = autoscalingvalidation.ValidateHorizontalPodAutoscaler(typed, autoscalingvalidation.HorizontalPodAutoscalerSpecValidationOptions{})
	case *networking.NetworkPolicy:
		found = networkingvalidation.ValidateNetworkPolicy(typed, networkingvalidation.NetworkPolicyValidationOptions{})
	case *networking.Ingress:
		found = networkingvalidation.ValidateIngressCreate(typed)
	default:
		return []string{fmt.Sprintf("nothing here validates a %T", typed)}
	}
	texts := make([]string, 0, len(found))
	for _, one := range found {
		texts = append(texts, one.Error())
	}
	return texts
}

// unsafe is why pod security would refuse the pods of an object at the level `restricted`.
func unsafe(evaluator podsecurity.Evaluator, object runtime.Object) []string {
	var template *corev1.PodTemplateSpec
	switch typed := object.(type) {
	case *appsv1.Deployment:
		template = &typed.Spec.Template
	case *appsv1.StatefulSet:
		template = &typed.Spec.Template
	default:
		return nil
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	result := podsecurity.AggregateCheckResults(evaluator.EvaluatePod(level, &template.ObjectMeta, &template.Spec))
	if result.Allowed {
		return nil
	}
	return []string{"pod security: " + result.ForbiddenDetail()}
}

func nameOf(object runtime.Object) string {
	if named, ok := object.(metav1.Object); ok {
		return named.GetName()
	}
	return "?"
}

func fail(err error) {
	fmt.Println(err)
	os.Exit(2)
}
