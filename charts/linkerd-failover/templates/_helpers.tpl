{{- define "linkerd-failover.name" -}}
{{- .Values.fullnameOverride | default "linkerd-failover" -}}
{{- end -}}

{{/* Our own win over the user's: a selector reads some of them. */}}
{{- define "linkerd-failover.labels" -}}
{{- $own := dict
      "linkerd.io/extension" "failover"
      "app.kubernetes.io/name" "linkerd-failover"
      "app.kubernetes.io/part-of" "Linkerd"
      "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- merge $own .Values.commonLabels | toYaml -}}
{{- end -}}

{{- define "linkerd-failover.selector" -}}
{{- .Values.selector | default (printf "failover.linkerd.io/controlled-by=%s" .Release.Name) -}}
{{- end -}}

{{- define "linkerd-failover.image" -}}
{{- $image := .Values.image -}}
{{- if and (eq $image.name "failover") (hasSuffix "l5d.io/linkerd" $image.registry) -}}
  {{- /* Values that were kept from 0.1: its program would end at once, and the webhook refuse applies. */ -}}
  {{- fail (printf "image: found %s/%s, which is linkerd-failover 0.1 and does not know this chart's arguments; expected an image of this version" $image.registry $image.name) -}}
{{- end -}}
{{- with $image.registry }}{{ . }}/{{ end -}}
{{ $image.name }}
{{- if $image.digest -}}
{{ with $image.tag }}:{{ . }}{{ end }}@{{ $image.digest }}
{{- else -}}
:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/*
The controller's label selector as an objectSelector. A webhook that matched other objects than
the controller manages would let through what nobody has judged.
*/}}
{{- define "linkerd-failover.objectSelector" -}}
{{- $text := include "linkerd-failover.selector" . -}}
{{- $word := "[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?" -}}
{{- /* The program would refuse it too, but only in a pod that restarts for ever. */ -}}
{{- if hasSuffix "," $text -}}
  {{- fail (printf "selector: found %q, expected a requirement after the last comma" $text) -}}
{{- end -}}
{{- $rest := $text -}}
{{- $expressions := list -}}
{{- range $_ := until 64 -}}
  {{- if $rest -}}
    {{- /* A requirement ends at a comma outside of parentheses. */ -}}
    {{- $one := regexFind "^[^,(]*(\\([^)]*\\))?[^,]*" $rest -}}
    {{- $rest = trimPrefix "," (trimPrefix $one $rest) -}}
    {{- $one = trim $one -}}
    {{- if regexMatch (printf "^%s$" $word) $one -}}
      {{- $expressions = append $expressions (dict "key" $one "operator" "Exists") -}}
    {{- else if regexMatch (printf "^! *%s$" $word) $one -}}
      {{- $expressions = append $expressions (dict "key" (trim (trimPrefix "!" $one)) "operator" "DoesNotExist") -}}
    {{- else if regexMatch (printf "^%s *!= *(%s)?$" $word $word) $one -}}
      {{- $parts := splitn "!=" 2 $one -}}
      {{- $expressions = append $expressions (dict "key" (trim $parts._0) "operator" "NotIn" "values" (list (trim $parts._1))) -}}
    {{- else if regexMatch (printf "^%s *==? *(%s)?$" $word $word) $one -}}
      {{- $parts := splitn "=" 2 (replace "==" "=" $one) -}}
      {{- $expressions = append $expressions (dict "key" (trim $parts._0) "operator" "In" "values" (list (trim $parts._1))) -}}
    {{- else if regexMatch (printf "^%s +(in|notin) *\\( *%s( *, *%s)* *\\)$" $word $word $word) $one -}}
      {{- $head := trim (first (splitList "(" $one)) -}}
      {{- $values := list -}}
      {{- range splitList "," (trimSuffix ")" (last (splitList "(" $one))) -}}
        {{- $values = append $values (trim .) -}}
      {{- end -}}
      {{- $operator := ternary "NotIn" "In" (hasSuffix "notin" $head) -}}
      {{- $expressions = append $expressions (dict "key" (first (regexSplit " +" $head -1)) "operator" $operator "values" $values) -}}
    {{- else -}}
      {{- fail (printf "selector: found %q in %q, expected comma-separated key, !key, key=value, key!=value, key in (a,b) or key notin (a,b)" $one $text) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if $rest -}}
  {{- fail (printf "selector: %q has more than 64 requirements" $text) -}}
{{- end -}}
matchExpressions:
{{ toYaml $expressions }}
{{- end -}}

{{/* The namespaces that our webhooks and our policy look at: the user's, and where we may act. */}}
{{- define "linkerd-failover.namespaceSelector" -}}
{{- $selector := deepCopy .root.Values.webhook.namespaceSelector -}}
{{- $expressions := $selector.matchExpressions | default list -}}
{{- with .root.Values.namespaces -}}
  {{- $expressions = append $expressions (dict "key" "kubernetes.io/metadata.name" "operator" "In" "values" .) -}}
{{- end -}}
{{- with .not -}}
  {{- $expressions = append $expressions (dict "key" "kubernetes.io/metadata.name" "operator" "NotIn" "values" .) -}}
{{- end -}}
{{- if .guarded -}}
  {{- $expressions = append $expressions (dict "key" "failover.linkerd.io/guard" "operator" "In" "values" (list "enabled")) -}}
{{- end -}}
{{- with $expressions -}}
  {{- $_ := set $selector "matchExpressions" . -}}
{{- end -}}
{{- with $selector -}}
namespaceSelector:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* Who is not judged: what we write ourselves, and whom the user exempts. */}}
{{- define "linkerd-failover.isNotExempt" -}}
{{- $exempt := list (printf "system:serviceaccount:%s:%s" .Release.Namespace (include "linkerd-failover.name" .)) }}
{{- $exempt = concat $exempt .Values.webhook.exemptUsers }}
{{- range .Values.webhook.exemptServiceAccounts }}
  {{- $exempt = append $exempt (printf "system:serviceaccount:%s" (replace "/" ":" .)) }}
{{- end -}}
!(request.userInfo.username in {{ toJson $exempt }})
{{- end -}}

{{/*
What the webhooks and the policy share: which requests for splits they judge, in whichever version the
cluster serves. All have the backends alike; a weight may be a text in v1alpha1.
*/}}
{{- define "linkerd-failover.splitRules" -}}
- apiGroups: ["split.smi-spec.io"]
  apiVersions: ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"]
  resources: ["trafficsplits"]
  operations: ["CREATE", "UPDATE"]
  scope: Namespaced
{{- end -}}

{{/* Which requests the webhooks judge. A route looks alike in all its versions. */}}
{{- define "linkerd-failover.objectRules" -}}
{{ include "linkerd-failover.splitRules" . }}
- apiGroups: ["gateway.networking.k8s.io"]
  apiVersions: ["*"]
  resources: ["httproutes", "grpcroutes"]
  operations: ["CREATE", "UPDATE"]
  scope: Namespaced
{{- end -}}

{{- define "linkerd-failover.objectConditions" -}}
# Failover works while the webhook is down, and no replica with an older cache undoes a flip. Finalizers of an
# object that is being deleted must go through. One condition: the API server evaluates each for each flip.
- name: not-exempt-and-not-being-deleted
  expression: {{ printf "%s && !has(object.metadata.deletionTimestamp)" (include "linkerd-failover.isNotExempt" .) | quote }}
{{- end -}}

{{/*
A kind that is not failed over, of which the mutating webhook says so. Not the validating one: without a
replica it would refuse what is none of our business.
*/}}
{{- define "linkerd-failover.otherRules" -}}
- apiGroups: ["policy.linkerd.io"]
  apiVersions: ["*"]
  resources: ["httproutes"]
  operations: ["CREATE", "UPDATE"]
  scope: Namespaced
{{- end -}}

{{/* What both webhooks for our objects share: (root, further rules). */}}
{{- define "linkerd-failover.webhook" -}}
{{- $more := index . 1 -}}
{{- with index . 0 -}}
admissionReviewVersions: ["v1"]
sideEffects: None
timeoutSeconds: {{ .Values.webhook.timeoutSeconds }}
# A version that nobody here knows arrives as one of these.
matchPolicy: Equivalent
rules:
{{ include "linkerd-failover.objectRules" . }}
{{- with $more }}
{{ . }}
{{- end }}
objectSelector:
  {{- include "linkerd-failover.objectSelector" . | nindent 2 }}
{{- with include "linkerd-failover.namespaceSelector" (dict "root" .) }}
{{ . }}
{{- end }}
matchConditions:
{{ include "linkerd-failover.objectConditions" . }}
{{- end -}}
{{- end -}}

{{/* Whether deletions of pods are announced: to the webhook. Empty: they are not. */}}
{{- define "linkerd-failover.guarded" -}}
{{- if and .Values.webhook.enabled .Values.guard.enabled -}}true{{- end -}}
{{- end -}}

{{/* What the webhooks for announced losses share: they delay, and never refuse nor stand in the way. */}}
{{- define "linkerd-failover.guard" -}}
failurePolicy: Ignore
admissionReviewVersions: ["v1"]
# A dry run announces nothing.
sideEffects: NoneOnDryRun
timeoutSeconds: 1
clientConfig:
  {{- include "linkerd-failover.clientConfig" . | nindent 2 }}
{{- end -}}

{{- define "linkerd-failover.podDeletions" -}}
- apiGroups: [""]
  apiVersions: ["v1"]
  resources: ["pods"]
  operations: ["DELETE"]
  scope: Namespaced
{{- end -}}

{{/* What the schema lets through as the guard's durations: 500ms, 0.5s. */}}
{{- define "linkerd-failover.milliseconds" -}}
{{- if hasSuffix "ms" . -}}
{{ trimSuffix "ms" . }}
{{- else -}}
{{ mulf (trimSuffix "s" . | float64) 1000 }}
{{- end -}}
{{- end -}}

{{/* Which deletions of pods announce a loss. An expression that fails means that nobody is asked. */}}
{{- define "linkerd-failover.podDeletionConditions" -}}
- name: not-a-dry-run
  expression: '!(has(request.dryRun) && request.dryRun)'
# The kubelet's last deletion of every pod.
- name: not-going-already
  expression: '!has(oldObject.metadata.deletionTimestamp)'
# A grace of 0 that the pod does not ask for itself: nobody is to wait.
- name: not-forced
  expression: >-
    !has(request.options.gracePeriodSeconds) || request.options.gracePeriodSeconds != 0 ||
    (has(oldObject.spec.terminationGracePeriodSeconds) && oldObject.spec.terminationGracePeriodSeconds == 0)
{{- end -}}

{{/* kubectl drain says only in the Eviction that it is a dry run. */}}
{{- define "linkerd-failover.evictionConditions" -}}
- name: not-a-dry-run
  expression: >-
    !(has(request.dryRun) && request.dryRun) && !(has(object.deleteOptions) &&
    has(object.deleteOptions.dryRun) && size(object.deleteOptions.dryRun) > 0)
{{- end -}}

{{- define "linkerd-failover.clientConfig" -}}
{{- $certs := .Values.webhook.certs -}}
{{- if and (eq $certs.mode "external") $certs.caBundle -}}
caBundle: {{ $certs.caBundle | b64enc }}
{{- else -}}
# Kept here by the program, or by who injects it: it is no value, so that an upgrade leaves it alone.
{{- end }}
service:
  name: {{ include "linkerd-failover.name" . }}-webhook
  namespace: {{ .Release.Namespace }}
  port: {{ .Values.webhook.servicePort }}
{{- end -}}

{{/*
Annotations of both webhook configurations. AKS would add a namespaceSelector of its own, on which the
next upgrade conflicts; it reads this as annotation or as label.
*/}}
{{- define "linkerd-failover.webhookAnnotations" -}}
{{- $annotations := mergeOverwrite (dict "admissions.enforcer/disabled" "true") .Values.webhook.annotations -}}
{{- if eq .Values.webhook.certs.mode "cert-manager" -}}
  {{- $leaf := printf "%s/%s-webhook" .Release.Namespace (include "linkerd-failover.name" .) -}}
  {{- $_ := set $annotations "cert-manager.io/inject-ca-from" $leaf -}}
{{- end -}}
{{- with $annotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* The Secret with the webhook's certificate where the program does not make it itself. */}}
{{- define "linkerd-failover.tlsSecret" -}}
{{- $certs := .Values.webhook.certs -}}
{{- if eq $certs.mode "cert-manager" -}}
{{ include "linkerd-failover.name" . }}-webhook-tls
{{- else if eq $certs.mode "external" -}}
{{ required "webhook.certs.secretName: found nothing, expected the name of a Secret with tls.crt and tls.key" $certs.secretName }}
{{- end -}}
{{- end -}}

{{- define "linkerd-failover.testNamespace" -}}
{{- .Values.tests.namespace | default (first .Values.namespaces) | default .Release.Namespace -}}
{{- end -}}
