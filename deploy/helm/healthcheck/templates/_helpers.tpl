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

{{/* Refuses a schedule or a zone that the API server or the program would refuse later: a dict of root, key, schedule and zone. */}}
{{- define "healthcheck.due" -}}
{{- $fields := list }}
{{- range list "[0-5]?[0-9]" "([01]?[0-9]|2[0-3])" "(0?[1-9]|[12][0-9]|3[01])" "(0?[1-9]|1[0-2]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)" "(0?[0-6]|sun|mon|tue|wed|thu|fri|sat)" }}
{{- $item := printf "([*?]|%s(-%s)?)(/[1-9][0-9]*)?" . . }}
{{- $fields = append $fields (printf "%s(,%s)*" $item $item) }}
{{- end }}
{{- $named := "@(yearly|annually|monthly|weekly|daily|midnight|hourly|every [0-9a-z]+)" }}
{{- if not (regexMatch (printf "(?i)^(%s|%s)$" (join " +" $fields) $named) .schedule) }}
{{- fail (printf "%s: expected five fields in cron notation such as `0 9 * * *`, got `%s`" .key .schedule) }}
{{- end }}
{{- /* Every day of the week, and no month has the day. With days of the week named, cron takes those too. */}}
{{- $short := "(0?[2469]|11|feb|apr|jun|sep|nov)" }}
{{- $never := printf "(3[01]([,-]3[01])* +(0?2|feb)|31(,31)* +%s(,%s)*)" $short $short }}
{{- if regexMatch (printf "(?i)^[^ ]+ +[^ ]+ +%s +[*?]$" $never) .schedule }}
{{- fail (printf "%s: `%s` is never due, for no month has such a day; expected one that comes, such as `0 9 * * *`" .key .schedule) }}
{{- end }}
{{- if not (has .zone (.root.Files.Lines "files/zones.txt")) }}
{{- fail (printf "%s: expected a time zone of the IANA database such as `Asia/Taipei`, got `%s`" (regexReplaceAll "[a-zA-Z]+$" .key "timeZone") .zone) }}
{{- end }}
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
    checksum/config: {{ printf "%s%s" (toYaml $.Values.config) (toYaml $.Values.configFiles) | sha256sum }}
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
        {{- if ne .component "serve" }}
        # Under which a pod that is made anew knows what the one before it has sent. The uid of the Job: names are used again.
        - name: HEALTHCHECK_RUN
          valueFrom: {fieldRef: {fieldPath: "metadata.labels['batch.kubernetes.io/controller-uid']"}}
        {{- end }}
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
        {{- with $.Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
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
    {{- with $.Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
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
