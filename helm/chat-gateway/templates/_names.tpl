{{/* Truncated, so that it fits into 63 characters with any suffix. A Service's name begins with a letter and has no dot. */}}
{{- define "chat.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := printf "%s-%s" .Release.Name $name -}}
{{- if .Values.fullnameOverride -}}
{{- $full = .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- $full = .Release.Name -}}
{{- end -}}
{{- $full = $full | trunc 50 | trimSuffix "-" -}}
{{- if not (regexMatch "^[a-z][-a-z0-9]*$" $full) -}}
{{- fail (printf "%s cannot be the name of a Service (it must begin with a letter and have no dots): set fullnameOverride" $full) -}}
{{- end -}}
{{- $full -}}
{{- end -}}

{{/* The labels of selectors, which must not change between releases. Takes (list ROOT COMPONENT). */}}
{{- define "chat.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Takes (list ROOT COMPONENT). */}}
{{- define "chat.labels" -}}
{{- $root := index . 0 -}}
{{ include "chat.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name ($root.Chart.Version | replace "+" "_") }}
{{- with $root.Values.extraLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "chat.serviceAccount" -}}
{{- if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.create -}}
{{- include "chat.fullname" . -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{- define "chat.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The paths of auth, the first ones with everything below them; all others go to the gateways. */}}
{{- define "chat.authPrefixes" -}}
["/api/v1/me/sessions"]
{{- end -}}

{{- define "chat.authPaths" -}}
["/register", "/login", "/generate-token", "/api/v1/login/access-token", "/api/v1/login/refresh", "/api/v1/logout", "/api/v1/password", "/api/v1/totp", "/api/v1/totp/confirm", "/api/v1/password/reset", "/api/v1/password/reset/confirm", "/api/v1/invitations", "/.well-known/jwks.json"]
{{- end -}}
