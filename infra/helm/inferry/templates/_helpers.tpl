{{/* Names. They are refused when too long (checks.yaml), never cut: two cut names may be one. */}}
{{- define "inferry.name" -}}
{{- default .Chart.Name .Values.nameOverride -}}
{{- end -}}

{{- define "inferry.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else -}}
{{- $name := include "inferry.name" . -}}
{{- if contains $name .Release.Name -}}{{- .Release.Name -}}{{- else -}}{{- printf "%s-%s" .Release.Name $name -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of a group: (dict "root" $ "group" $group) */}}
{{- define "inferry.workerName" -}}
{{- printf "%s-worker-%s" (include "inferry.fullname" .root) .group.name -}}
{{- end -}}

{{- define "inferry.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "inferry.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Labels that select pods: few, since a Deployment cannot change them. (dict "root" $ "component" "worker" "group" $group) */}}
{{- define "inferry.selectorLabels" -}}
app.kubernetes.io/name: {{ include "inferry.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- with .group }}
inferry-group: {{ .name }}
{{- end }}
{{- end -}}

{{- define "inferry.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: inferry
{{ include "inferry.selectorLabels" . }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* metadata of an object: (dict "root" $ "name" "..." "component" "..." "group" $group "labels" (dict) "annotations" (dict)) */}}
{{- define "inferry.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "inferry.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "image" .Values.images.gateway) */}}
{{- define "inferry.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The groups with their defaults, as YAML: include "inferry.groups" . | fromYamlArray */}}
{{- define "inferry.groups" -}}
{{- $groups := list -}}
{{- range .Values.workerGroups -}}
{{- $groups = append $groups (mergeOverwrite (deepCopy $.Values.workerDefaults) (deepCopy .)) -}}
{{- end -}}
{{- toYaml $groups -}}
{{- end -}}

{{/* The model repository of a group, or of the gateway: (dict "root" $ "own" $group.modelStore) */}}
{{- define "inferry.modelStore" -}}
{{- toYaml (mergeOverwrite (deepCopy .root.Values.modelStore) (deepCopy (.own | default dict))) -}}
{{- end -}}

{{/* Secret and key of the Redis URL. */}}
{{- define "inferry.redisSecretName" -}}
{{- default (printf "%s-redis" (include "inferry.fullname" .)) .Values.redis.existingSecret.name -}}
{{- end -}}
{{- define "inferry.redisUrlKey" -}}
{{- if .Values.redis.existingSecret.name -}}{{- .Values.redis.existingSecret.urlKey -}}{{- else -}}url{{- end -}}
{{- end -}}

{{/* Redis as KEDA and network policies need it, as YAML: address, host, port, tls, database, username, password */}}
{{- define "inferry.redisParts" -}}
{{- $redis := .Values.redis -}}
{{- $parts := dict "address" $redis.address "tls" $redis.tls "database" $redis.database "username" "" "password" "" -}}
{{- if $redis.bundled.enabled -}}
{{- $_ := set $parts "address" (printf "%s-redis.%s.svc:6379" (include "inferry.fullname" .) .Release.Namespace) -}}
{{- else if $redis.url -}}
{{- $url := urlParse $redis.url -}}
{{- $_ := set $parts "address" (ternary $url.host (printf "%s:6379" $url.host) (regexMatch ":[0-9]+$" $url.host)) -}}
{{- $_ := set $parts "tls" (eq $url.scheme "rediss") -}}
{{- $_ := set $parts "database" (trimPrefix "/" $url.path | default "0" | int) -}}
{{- $user := splitn ":" 2 $url.userinfo -}}
{{- $_ := set $parts "username" ($user._0 | default "") -}}
{{- $_ := set $parts "password" ($user._1 | default "") -}}
{{- end -}}
{{- $_ := set $parts "port" (regexFind "[0-9]+$" (default "redis:6379" $parts.address) | int) -}}
{{- toYaml $parts -}}
{{- end -}}

{{/* PromQL matchers of a group's queues: queue=~"(iris|digits)@.*",namespace="..." */}}
{{- define "inferry.matchers" -}}
{{- $names := list -}}
{{- range .group.models -}}
{{- $names = append $names (replace "." "[.]" .name) -}}
{{- end -}}
{{- $queues := ternary (printf "(%s)@.*" (join "|" $names)) ".+" (gt (len $names) 0) -}}
{{- $matchers := .root.Values.prometheus.matchers -}}
{{- if kindIs "invalid" $matchers -}}
{{- $matchers = printf "namespace=%q" .root.Release.Namespace -}}
{{- end -}}
{{- printf "queue=~%q" $queues -}}{{- with $matchers -}},{{- . -}}{{- end -}}
{{- end -}}
