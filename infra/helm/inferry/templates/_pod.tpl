{{/*
The pod of a gateway or a worker:
(dict "root" $ "component" "gateway" "pod" .Values.gateway "image" .Values.images.gateway "ports" (list) "env" (list) "group" $group)
INFERRY_DRAIN_MS and the grace period are made of the same drainSeconds here, and nowhere else.
*/}}
{{- define "inferry.podTemplate" -}}
{{- $root := .root -}}
{{- $pod := .pod -}}
{{- $store := include "inferry.modelStore" (dict "root" $root "own" $pod.modelStore) | fromYaml -}}
{{- $hasModelVolume := not (and (eq $store.type "image") (not $store.image.reference)) -}}
{{- $preStopSeconds := int ($pod.preStopSeconds | default 0) -}}
{{- $ca := $root.Values.redis.caSecret -}}
metadata:
  # Few: a new version of the chart alone must not start every worker again.
  labels:
    {{- include "inferry.selectorLabels" . | nindent 4 }}
    {{- with $root.Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/redis: {{ toYaml $root.Values.redis | sha256sum }}
    {{- with merge (dict) $pod.podAnnotations $root.Values.commonAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "inferry.serviceAccountName" $root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  # The supervisor of the role is then not process 1, and processes without a parent are reaped.
  shareProcessNamespace: true
  terminationGracePeriodSeconds: {{ add $preStopSeconds (int $pod.drainSeconds) 5 }}
  securityContext:
    {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $pod.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with $pod.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $pod.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $pod.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $pod.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $pod.topologySpread.enabled }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: {{ $pod.topologySpread.topologyKey }}
      whenUnsatisfiable: {{ $pod.topologySpread.whenUnsatisfiable }}
      labelSelector:
        matchLabels:
          {{- include "inferry.selectorLabels" . | nindent 10 }}
  {{- end }}
  {{- if eq $store.type "emptyDir" }}
  initContainers:
    {{- range $store.emptyDir.initContainers }}
    {{- $mounts := list (dict "name" "models" "mountPath" $store.path) (dict "name" "tmp" "mountPath" "/tmp") }}
    {{- $defaults := dict "securityContext" (deepCopy $root.Values.securityContext) "volumeMounts" $mounts }}
    {{- toYaml (list (mergeOverwrite $defaults (deepCopy .))) | nindent 4 }}
    {{- end }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "inferry.image" . }}
      imagePullPolicy: {{ .image.pullPolicy }}
      securityContext:
        {{- toYaml $root.Values.securityContext | nindent 8 }}
      ports:
        {{- range .ports }}
        - { name: {{ .name }}, containerPort: {{ .port }}, protocol: TCP }
        {{- end }}
        - { name: metrics, containerPort: {{ $root.Values.metrics.port }}, protocol: TCP }
      env:
        - { name: HOST, value: '0.0.0.0' }
        {{- range .ports }}
        - { name: {{ .env }}, value: {{ .port | quote }} }
        {{- end }}
        - { name: METRICS_PORT, value: {{ $root.Values.metrics.port | quote }} }
        - name: REDIS_URL
          valueFrom:
            secretKeyRef:
              name: {{ include "inferry.redisSecretName" $root }}
              key: {{ include "inferry.redisUrlKey" $root }}
        - { name: INFERRY_REDIS_PREFIX, value: {{ $root.Values.redis.prefix | quote }} }
        {{- if eq $store.type "s3" }}
        - { name: INFERRY_MODELS, value: {{ $store.s3.location | quote }} }
        - { name: INFERRY_MODELS_CACHE, value: {{ $store.path | quote }} }
        {{- else }}
        - { name: INFERRY_MODELS, value: {{ $store.path | quote }} }
        {{- end }}
        - { name: INFERRY_DRAIN_MS, value: {{ mul 1000 (int $pod.drainSeconds) | quote }} }
        {{- range .env }}
        - { name: {{ .name }}, value: {{ .value | quote }} }
        {{- end }}
        {{- if $ca.name }}
        - { name: NODE_EXTRA_CA_CERTS, value: /etc/inferry/redis-ca.crt }
        {{- end }}
        {{- with $root.Values.tracing.endpoint }}
        - { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }} }
        - { name: OTEL_TRACES_SAMPLER, value: parentbased_traceidratio }
        - { name: OTEL_TRACES_SAMPLER_ARG, value: {{ $root.Values.tracing.samplerRatio | toJson | quote }} }
        {{- end }}
        {{- range $name, $value := $root.Values.settings }}
        {{- /* As JSON: a large number printed as it is would be 8.64e+07. */}}
        - { name: {{ $name }}, value: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }} }
        {{- end }}
        {{- with $pod.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $pod.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      # All on the port for operators, which answers while models load. Redis counts for readiness alone:
      # that it is away is no reason to start again, and startup ends in a restart as liveness does.
      startupProbe:
        httpGet: { path: /livez, port: metrics }
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 300
      readinessProbe:
        httpGet: { path: /readyz, port: metrics }
        periodSeconds: 5
        timeoutSeconds: 2
        failureThreshold: 2
      livenessProbe:
        httpGet: { path: /livez, port: metrics }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      {{- if gt $preStopSeconds 0 }}
      lifecycle:
        preStop:
          sleep: { seconds: {{ $preStopSeconds }} }
      {{- end }}
      resources:
        {{- toYaml $pod.resources | nindent 8 }}
      volumeMounts:
        - { name: tmp, mountPath: /tmp }
        {{- if $hasModelVolume }}
        - name: models
          mountPath: {{ $store.path }}
          {{- if ne $store.type "s3" }}
          readOnly: true
          {{- end }}
          {{- if and (eq $store.type "pvc") $store.pvc.subPath }}
          subPath: {{ $store.pvc.subPath }}
          {{- end }}
        {{- end }}
        {{- if $ca.name }}
        - { name: redis-ca, mountPath: /etc/inferry, readOnly: true }
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: { sizeLimit: 256Mi }
    {{- if $hasModelVolume }}
    - name: models
      {{- if eq $store.type "pvc" }}
      persistentVolumeClaim: { claimName: {{ $store.pvc.claimName }} }
      {{- else if eq $store.type "hostPath" }}
      hostPath: { path: {{ $store.hostPath.path }}, type: Directory }
      {{- else if eq $store.type "image" }}
      image: { reference: {{ $store.image.reference | quote }}, pullPolicy: {{ $store.image.pullPolicy }} }
      {{- else if eq $store.type "s3" }}
      emptyDir: { sizeLimit: {{ $store.s3.sizeLimit }} }
      {{- else }}
      emptyDir: { sizeLimit: {{ $store.emptyDir.sizeLimit }} }
      {{- end }}
    {{- end }}
    {{- if $ca.name }}
    - name: redis-ca
      secret:
        secretName: {{ $ca.name }}
        items: [{ key: {{ $ca.key }}, path: redis-ca.crt }]
    {{- end }}
{{- end -}}
