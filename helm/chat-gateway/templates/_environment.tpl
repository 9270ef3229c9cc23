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
{{- if and (hasKey $from "value") (or $from.secret $from.key) -}}
{{- fail (printf "credentials.%s: give either a value, or a secret and its key" $name) -}}
{{- end -}}
- name: {{ $name }}
{{- if hasKey $from "value" }}
  value: {{ $from.value | quote }}
{{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ required (printf "credentials.%s: the Secret's name is missing (secret)" $name) $from.secret }}
      key: {{ default $name $from.key }}
{{- end }}
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
