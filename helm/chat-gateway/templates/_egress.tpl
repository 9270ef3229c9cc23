{{/* DNS for whoever needs a name. */}}
{{- define "chat.egressDns" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end -}}

{{/* The servers, by port. Takes (list ROOT PORTS). */}}
{{- define "chat.egressServers" -}}
{{- $root := index . 0 -}}
- ports:
    {{- range index . 1 }}
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
