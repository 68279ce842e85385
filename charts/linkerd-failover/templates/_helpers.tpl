{{- define "linkerd-failover.name" -}}
{{- .Values.fullnameOverride | default "linkerd-failover" -}}
{{- end -}}

{{- define "linkerd-failover.labels" -}}
linkerd.io/extension: failover
app.kubernetes.io/name: linkerd-failover
app.kubernetes.io/part-of: Linkerd
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "linkerd-failover.selector" -}}
{{- .Values.selector | default (printf "failover.linkerd.io/controlled-by=%s" .Release.Name) -}}
{{- end -}}

{{- define "linkerd-failover.image" -}}
{{- with .Values.image.registry }}{{ . }}/{{ end -}}
{{ .Values.image.name }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/*
The controller's label selector as an objectSelector. A webhook that matched other objects than
the controller manages would let through what nobody has judged.
*/}}
{{- define "linkerd-failover.objectSelector" -}}
{{- $text := include "linkerd-failover.selector" . -}}
{{- $word := "[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?" -}}
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
{{- with .Values.webhook.exemptUsers }}
- name: not-exempt
  expression: '!(request.userInfo.username in {{ toJson . }})'
{{- end }}
{{- end -}}

{{- define "linkerd-failover.clientConfig" -}}
# The program keeps caBundle here: it is no value, so that an upgrade leaves it alone.
service:
  name: {{ include "linkerd-failover.name" . }}-webhook
  namespace: {{ .Release.Namespace }}
  port: {{ .Values.webhook.servicePort }}
{{- end -}}
