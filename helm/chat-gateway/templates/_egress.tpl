{{/* DNS for whoever needs a name. */}}
{{- define "chat.egressDns" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end -}}

{{/* PostgreSQL's ports, in JSON. */}}
{{- define "chat.postgresPorts" -}}
{{- $ports := .Values.networkPolicy.ports.postgres -}}
{{- with .Values.settings.POSTGRES_PORT -}}
{{- $ports = append $ports . -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/* The servers, by port. Takes (list ROOT PORTS). */}}
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

{{/* Who may connect; the pod of `helm test` may, whatever is said. */}}
{{- define "chat.clients" -}}
{{- with .Values.networkPolicy.clients }}
from:
  {{- toYaml . | nindent 2 }}
  - podSelector:
      matchLabels:
        {{- include "chat.selector" (list $ "test") | nindent 8 }}
{{- end }}
{{- end -}}
