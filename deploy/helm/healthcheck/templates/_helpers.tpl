{{- define "healthcheck.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "healthcheck.account" -}}
{{ default (include "healthcheck.name" .) .Values.serviceAccount.name }}
{{- end }}

{{/* Without rights where the chart makes it; elsewhere that of the others, without its token. */}}
{{- define "healthcheck.digestAccount" -}}
{{ if .Values.serviceAccount.create }}{{ include "healthcheck.name" . }}-digest{{ else }}{{ include "healthcheck.account" . }}{{ end }}
{{- end }}

{{- define "healthcheck.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end }}

{{- define "healthcheck.claim" -}}
{{ default (printf "%s-reports" (include "healthcheck.name" .)) .Values.persistence.existingClaim }}
{{- end }}

{{- define "healthcheck.selector" -}}
app.kubernetes.io/name: healthcheck
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "healthcheck.labels" -}}
{{ include "healthcheck.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The pod, without restart policy: a dict of root, component and args. */}}
{{- define "healthcheck.pod" -}}
{{- $ := .root -}}
metadata:
  labels:
    {{- include "healthcheck.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
  annotations:
    # A changed configuration is a changed pod.
    checksum/config: {{ toYaml $.Values.config | sha256sum }}
    {{- with $.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- if eq .component "digest" }}
  serviceAccountName: {{ include "healthcheck.digestAccount" $ }}
  automountServiceAccountToken: false
  {{- else }}
  serviceAccountName: {{ include "healthcheck.account" $ }}
  {{- end }}
  {{- if eq .component "serve" }}
  terminationGracePeriodSeconds: 45
  {{- else }}
  restartPolicy: Never
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  {{- with $.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if eq .component "serve" }}
  topologySpreadConstraints:
    - topologyKey: kubernetes.io/hostname
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "healthcheck.selector" $ | nindent 10 }}
          app.kubernetes.io/component: serve
  {{- end }}
  {{- with $.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $.Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: healthcheck
      image: {{ include "healthcheck.image" $ }}
      imagePullPolicy: {{ $.Values.image.pullPolicy }}
      args:
        {{- range .args }}
        - {{ . | quote }}
        {{- end }}
      env:
        - name: HEALTHCHECK_IMAGE
          value: {{ include "healthcheck.image" $ }}
        {{- with $.Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      envFrom:
        - secretRef:
            name: {{ $.Values.secretName }}
            optional: true
      {{- if eq .component "serve" }}
      ports:
        - name: http
          containerPort: {{ $.Values.serve.port }}
      livenessProbe:
        httpGet: {path: /healthz, port: http}
      readinessProbe:
        httpGet: {path: /readyz, port: http}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      resources:
        {{- toYaml $.Values.resources | nindent 8 }}
      volumeMounts:
        - name: config
          mountPath: /etc/healthcheck
          readOnly: true
        - name: reports
          mountPath: /reports
  volumes:
    - name: config
      configMap:
        name: {{ include "healthcheck.name" $ }}
    - name: reports
      {{- if $.Values.persistence.enabled }}
      persistentVolumeClaim:
        claimName: {{ include "healthcheck.claim" $ }}
      {{- else }}
      emptyDir: {}
      {{- end }}
{{- end }}

{{/* The fields that the CronJobs have in common. */}}
{{- define "healthcheck.cron" -}}
timeZone: {{ .Values.cron.timeZone }}
concurrencyPolicy: Forbid
startingDeadlineSeconds: {{ .Values.cron.startingDeadlineSeconds }}
successfulJobsHistoryLimit: {{ .Values.cron.successfulJobsHistoryLimit }}
failedJobsHistoryLimit: {{ .Values.cron.failedJobsHistoryLimit }}
suspend: {{ .Values.cron.suspend }}
{{- end }}

{{/* Exit code 3 is a report that says that too little could be judged: a failed Job, and nothing that another try mends. */}}
{{- define "healthcheck.failures" -}}
podFailurePolicy:
  rules:
    - action: FailJob
      onExitCodes: {containerName: healthcheck, operator: In, values: [3]}
{{- end }}
