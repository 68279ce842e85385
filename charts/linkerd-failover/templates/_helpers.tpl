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
{{ $image.name }}:{{ $image.tag | default .Chart.AppVersion }}
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

{{/* What both webhooks share. */}}
{{- define "linkerd-failover.webhook" -}}
admissionReviewVersions: ["v1"]
sideEffects: None
timeoutSeconds: {{ .Values.webhook.timeoutSeconds }}
# A v1alpha1 request arrives as v1alpha2.
matchPolicy: Equivalent
rules:
- apiGroups: ["split.smi-spec.io"]
  apiVersions: ["v1alpha2"]
  resources: ["trafficsplits"]
  operations: ["CREATE", "UPDATE"]
  scope: Namespaced
objectSelector:
  {{- include "linkerd-failover.objectSelector" . | nindent 2 }}
{{- with .Values.webhook.namespaceSelector }}
namespaceSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
matchConditions:
# Failover works while the webhook is down, and no replica with an older cache undoes a flip.
- name: not-our-own-writes
  expression: request.userInfo.username != 'system:serviceaccount:{{ .Release.Namespace }}:{{ include "linkerd-failover.name" . }}'
# Finalizers of an object that is being deleted must go through.
- name: not-being-deleted
  expression: '!has(object.metadata.deletionTimestamp)'
{{- $exempt := .Values.webhook.exemptUsers }}
{{- range .Values.webhook.exemptServiceAccounts }}
  {{- $exempt = append $exempt (printf "system:serviceaccount:%s" (replace "/" ":" .)) }}
{{- end }}
{{- with $exempt }}
- name: not-exempt
  expression: {{ printf "!(request.userInfo.username in %s)" (toJson .) | quote }}
{{- end }}
{{- end -}}

{{- define "linkerd-failover.clientConfig" -}}
# The program keeps caBundle here: it is no value, so that an upgrade leaves it alone.
service:
  name: {{ include "linkerd-failover.name" . }}-webhook
  namespace: {{ .Release.Namespace }}
  port: {{ .Values.webhook.servicePort }}
{{- end -}}
