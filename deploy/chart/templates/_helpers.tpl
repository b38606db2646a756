{{/* The names of what Berth makes and looks for are fixed, whatever the release is called: one installation a cluster. */}}
{{- define "berth.selectorLabels" -}}
app.kubernetes.io/name: berth
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "berth.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "berth.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: webhook
app.kubernetes.io/part-of: berth
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "berth.image" -}}
{{- $repository := .Values.image.repository -}}
{{- with .Values.image.registry }}{{ $repository = printf "%s/%s" . $repository }}{{ end -}}
{{- if .Values.image.digest -}}
{{ printf "%s@%s" $repository .Values.image.digest }}
{{- else -}}
{{ printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end -}}
{{- end }}

{{/* Of Berth's account, as the API server knows it. */}}
{{- define "berth.username" -}}
{{ printf "system:serviceaccount:%s:%s" .Release.Namespace .Values.serviceAccount.name }}
{{- end }}

{{/* The namespaces that are never judged, as a JSON list: those of the value, and the release's own. */}}
{{- define "berth.exemptNamespaces" -}}
{{ append .Values.exemptNamespaces .Release.Namespace | uniq | toJson }}
{{- end }}

{{/* The same as a list of CEL. No name holds a quote; the schema sees to that. */}}
{{- define "berth.exemptNamespacesInCel" -}}
{{ include "berth.exemptNamespaces" . | replace "\"" "'" | replace "," ", " }}
{{- end }}

{{/* True where Helm itself installs, and not where somebody only renders. */}}
{{- define "berth.isInstalledByHelm" -}}
{{- if lookup "v1" "Namespace" "" "kube-system" }}true{{ end -}}
{{- end }}

{{/*
At a first installation no replica answers yet: for as long as it takes to pull an image, or for ever where it cannot be
pulled, `Fail` would stop every deploy of the cluster. In a mode that refuses nothing there is nothing to lose by
`Ignore`; the next upgrade, such as the one that turns enforce on, fails closed.
*/}}
{{- define "berth.failurePolicy" -}}
{{- if .Values.webhook.failurePolicy -}}
{{ .Values.webhook.failurePolicy }}
{{- else if and .Release.IsInstall .Values.policy.create (ne .Values.policy.mode "enforce") (include "berth.isInstalledByHelm" .) -}}
Ignore
{{- else -}}
Fail
{{- end -}}
{{- end }}

{{- define "berth.certificateMode" -}}
{{- if and .Values.certManager.enabled .Values.certificate.existingSecret -}}
{{- fail "certManager.enabled and certificate.existingSecret exclude each other" -}}
{{- end -}}
{{- if or .Values.certManager.enabled .Values.certificate.existingSecret }}files{{ else }}managed{{ end -}}
{{- end }}

{{- define "berth.certificateSecret" -}}
{{ .Values.certificate.existingSecret | default "berth-tls" }}
{{- end }}

{{/* Without a caBundle here, that which Berth or cert-manager has written is left alone by an upgrade. */}}
{{- define "berth.clientConfig" -}}
{{- $ := index . 0 -}}
clientConfig:
  {{- if and $.Values.certificate.existingSecret $.Values.certificate.caBundle }}
  caBundle: {{ $.Values.certificate.caBundle | b64enc }}
  {{- end }}
  service:
    namespace: {{ $.Release.Namespace }}
    name: berth
    path: {{ index . 1 }}
    port: 443
{{- end }}

{{- define "berth.webhookAnnotations" -}}
{{- $annotations := deepCopy .Values.webhook.annotations -}}
{{- if .Values.certManager.enabled }}{{ $_ := set $annotations "cert-manager.io/inject-ca-from" (printf "%s/berth" .Release.Namespace) }}{{ end -}}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Pods and workloads, wherever they are not exempt by the namespace's name, which nobody can change. */}}
{{- define "berth.judging" -}}
admissionReviewVersions: [v1]
failurePolicy: {{ include "berth.failurePolicy" . }}
matchPolicy: Equivalent
timeoutSeconds: {{ .Values.webhook.timeoutSeconds }}
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values: {{ include "berth.exemptNamespaces" . }}
{{- with .Values.webhook.matchConditions }}
matchConditions:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* `15s`, `5m` or `1h` in seconds. */}}
{{- define "berth.seconds" -}}
{{- $factors := dict "s" 1 "m" 60 "h" 3600 -}}
{{ mul (regexFind "^[0-9]+" . | int) (get $factors (regexFind "[smh]$" .)) }}
{{- end }}

{{- define "berth.podTemplates" -}}
{{- $kinds := list -}}
{{- range $resource := .Values.customResources -}}
{{- range $resource.podSpecs }}{{ $kinds = append $kinds (printf "%s/%s=%s" $resource.group $resource.kind .) }}{{ end -}}
{{- end -}}
{{ join "," $kinds }}
{{- end }}

{{- define "berth.harborClusterNamespaces" -}}
{{- $names := list -}}
{{- range .Values.harborClusters }}{{ $names = append $names .namespace }}{{ end -}}
{{ join "," $names }}
{{- end }}
