{{/* The value of a setting as text. Numbers in a values file are floats, which Go would print as 1e+06. */}}
{{- define "chat.text" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if and (kindIs "float64" .) (eq . (floor .)) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* One environment variable from a credential. Takes (list NAME CREDENTIAL VALUE), where VALUE is its place in the values. */}}
{{- define "chat.credential" -}}
{{- $name := index . 0 -}}
{{- $from := index . 1 -}}
{{- $value := index . 2 -}}
{{- if hasKey $from "value" -}}
{{- if or $from.secret $from.key -}}
{{- fail (printf "%s: set either a value, or a secret and its key" $value) -}}
{{- end -}}
{{- if or (not (hasSuffix "_URL" $name)) (contains "@" $from.value) -}}
{{- fail (printf "%s: anyone who may read the pod could read this value; put it into a Secret, and set its name and key" $value) -}}
{{- end -}}
{{- end -}}
- name: {{ $name }}
{{- if hasKey $from "value" }}
  value: {{ $from.value | quote }}
{{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ required (printf "%s: the Secret's name is missing (secret)" $value) $from.secret | quote }}
      key: {{ default $name $from.key | quote }}
{{- end }}
{{- end -}}

{{/* Further environment variables, unchanged. Fails for those that another value sets. Takes (list ROOT COMPONENT EXTRA). */}}
{{- define "chat.extraEnv" -}}
{{- $root := index . 0 -}}
{{- $taken := concat (list "APP_PORT" "AUTH_PORT" "METRICS_PORT" "DRAIN_DELAY_S" "DRAIN_S") (keys $root.Values.settings) -}}
{{- range $name, $from := $root.Values.credentials -}}
{{- if $from -}}
{{- $taken = append $taken $name -}}
{{- end -}}
{{- end -}}
{{- range index . 2 -}}
{{- if has .name $taken -}}
{{- fail (printf "%s.extraEnv: %s is set by another value (settings, credentials, gateway.drain or metrics.port)" (index $ 1) .name) -}}
{{- end -}}
{{- end -}}
{{- with index . 2 -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* The DATABASE_URL of auth or of the migration, which have roles of their own; empty if they share credentials.DATABASE_URL
(or POSTGRES_HOST and its user). Takes (list ROOT COMPONENT). */}}
{{- define "chat.ownDatabaseUrl" -}}
{{- $root := index . 0 -}}
{{- $own := (get $root.Values (index . 1)).databaseUrl -}}
{{- if and $own $root.Values.credentials.DATABASE_URL -}}
{{ include "chat.credential" (list "DATABASE_URL" $own (printf "%s.databaseUrl" (index . 1))) }}
{{- end -}}
{{- end -}}

{{/* The credentials as environment variables, except those in a list of names. Takes (list ROOT NAMES). */}}
{{- define "chat.credentials" -}}
{{- $root := index . 0 -}}
{{- $without := index . 1 -}}
{{- $given := $root.Values.credentials -}}
{{- $settings := $root.Values.settings -}}
{{- if not (or $given.DATABASE_URL (and $settings.POSTGRES_HOST (or $given.POSTGRES_PASSWORD $settings.POSTGRES_PASSWORD_FILE))) -}}
{{- fail "credentials.DATABASE_URL is missing (or settings.POSTGRES_HOST, and credentials.POSTGRES_PASSWORD or settings.POSTGRES_PASSWORD_FILE)" -}}
{{- end -}}
{{- if and $given.POSTGRES_PASSWORD $settings.POSTGRES_PASSWORD_FILE -}}
{{- fail "credentials.POSTGRES_PASSWORD and settings.POSTGRES_PASSWORD_FILE exclude each other" -}}
{{- end -}}
{{- if and $root.Values.auth.enabled (not (or $given.KEYS_SECRET $settings.KEYS_SECRET_FILE)) -}}
{{- fail "credentials.KEYS_SECRET is missing: it encrypts the keys that sign tokens (or settings.KEYS_SECRET_FILE)" -}}
{{- end -}}
{{- if not $given.REDIS_URL -}}
{{- fail "credentials.REDIS_URL is missing: gateways communicate through Redis" -}}
{{- end -}}
{{- range $name, $from := $given }}
{{- if and $from (not (has $name $without)) }}
{{ include "chat.credential" (list $name $from (printf "credentials.%s" $name)) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The default of ALLOWED_ORIGINS in production, which needs that or PUBLIC_URL: the hosts of the ingress or route, with
both schemes, since TLS may end in front of the ingress; without either, the addresses that NOTES.txt forwards. */}}
{{- define "chat.ownOrigins" -}}
{{- $settings := .Values.settings -}}
{{- if not (or $settings.PUBLIC_URL $settings.ALLOWED_ORIGINS (eq (default "production" $settings.APP_ENV) "development")) -}}
{{- $hosts := list -}}
{{- if and .Values.ingress.enabled .Values.ingress.host -}}
{{- $hosts = append $hosts .Values.ingress.host -}}
{{- end -}}
{{- if .Values.httpRoute.enabled -}}
{{- $hosts = concat $hosts .Values.httpRoute.hostnames -}}
{{- end -}}
{{- if not (or .Values.ingress.enabled .Values.httpRoute.enabled (ne .Values.service.type "ClusterIP")) -}}
{{- $hosts = list "127.0.0.1:8000" "localhost:8000" -}}
{{- end -}}
{{- $origins := list -}}
{{- range $hosts -}}
{{- if not (hasPrefix "*" .) -}}
{{- $origins = append $origins (printf "https://%s" .) -}}
{{- $origins = append $origins (printf "http://%s" .) -}}
{{- end -}}
{{- end -}}
{{- $isHalf := or (and .Values.ingress.enabled (not .Values.ingress.host)) (and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs)) -}}
{{- if not (or $origins $isHalf) -}}{{/* an incomplete ingress or route has its own error */}}
{{- fail "settings.PUBLIC_URL is missing: set it to the URL that clients use, because neither ingress.host nor httpRoute.hostnames names a host" -}}
{{- end -}}
{{- join "," $origins -}}
{{- end -}}
{{- end -}}
