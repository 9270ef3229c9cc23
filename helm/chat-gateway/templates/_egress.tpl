{{/* A rule for DNS. */}}
{{- define "chat.egressDns" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end -}}

{{/* The ports of PostgreSQL, as JSON. */}}
{{- define "chat.postgresPorts" -}}
{{- $ports := .Values.networkPolicy.ports.postgres -}}
{{- with .Values.settings.POSTGRES_PORT -}}
{{- $ports = append $ports . -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/* A rule for the ports of the servers. Takes (list ROOT PORTS). */}}
{{- define "chat.egressServers" -}}
{{- $root := index . 0 -}}
- ports:
    {{- range index . 1 | uniq }}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
  {{- with $root.Values.networkPolicy.servers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The allowed clients. The pod of `helm test` is always among them. */}}
{{- define "chat.clients" -}}
{{- with .Values.networkPolicy.clients }}
from:
  {{- toYaml . | nindent 2 }}
  - podSelector:
      matchLabels:
        {{- include "chat.selector" (list $ "test") | nindent 8 }}
{{- end }}
{{- end -}}
