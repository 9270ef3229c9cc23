{{/* A setting's value as text. Numbers of a values file are floats, which Go would write as 1e+06. */}}
{{- define "chat.text" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if and (kindIs "float64" .) (eq . (floor .)) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* One variable from a credential. Takes (list NAME CREDENTIAL). */}}
{{- define "chat.credential" -}}
{{- $name := index . 0 -}}
{{- $from := index . 1 -}}
{{- if hasKey $from "value" -}}
{{- if or $from.secret $from.key -}}
{{- fail (printf "credentials.%s: give either a value, or a secret and its key" $name) -}}
{{- end -}}
{{- if or (not (hasSuffix "_URL" $name)) (contains "@" $from.value) -}}
{{- fail (printf "credentials.%s: whoever may look at a pod would read it; put it into a Secret, and give its name and key" $name) -}}
{{- end -}}
{{- end -}}
- name: {{ $name }}
{{- if hasKey $from "value" }}
  value: {{ $from.value | quote }}
{{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ required (printf "credentials.%s: the Secret's name is missing (secret)" $name) $from.secret | quote }}
      key: {{ default $name $from.key | quote }}
{{- end }}
{{- end -}}

{{/* More environment, as given; what the chart sets by itself has its place there. Takes (list ROOT COMPONENT EXTRA). */}}
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

{{/* The credentials, as environment, without those of a list of names. Takes (list ROOT NAMES). */}}
{{- define "chat.credentials" -}}
{{- $root := index . 0 -}}
{{- $without := index . 1 -}}
{{- $given := $root.Values.credentials -}}
{{- if not (or $given.DATABASE_URL (and $given.POSTGRES_PASSWORD $root.Values.settings.POSTGRES_HOST)) -}}
{{- fail "credentials.DATABASE_URL is missing (or settings.POSTGRES_HOST and credentials.POSTGRES_PASSWORD)" -}}
{{- end -}}
{{- if not $given.REDIS_URL -}}
{{- fail "credentials.REDIS_URL is missing: gateways find each other by Redis" -}}
{{- end -}}
{{- range $name, $from := $given }}
{{- if and $from (not (has $name $without)) }}
{{ include "chat.credential" (list $name $from) }}
{{- end }}
{{- end }}
{{- end -}}
