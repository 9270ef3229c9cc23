{{/* The pod's security context, as the restricted standard requires. */}}
{{- define "chat.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.podSecurityContext }}
{{ toYaml . }}
{{- end }}
{{- if not .Values.podSecurityContext.seccompProfile }}
seccompProfile:
  type: RuntimeDefault
{{- end }}
{{- end -}}

{{/* The container's security context, as the restricted standard requires. */}}
{{- define "chat.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The mount of the CA of PostgreSQL, Redis and RabbitMQ. */}}
{{- define "chat.caMount" -}}
{{- if .Values.tls.caSecret -}}
- {name: stores-ca, mountPath: /etc/chat-gateway/tls, readOnly: true}
{{- end -}}
{{- end -}}

{{/* Its volume. */}}
{{- define "chat.caVolume" -}}
{{- with .Values.tls.caSecret -}}
- name: stores-ca
  secret:
    secretName: {{ . | quote }}
    items:
      - {key: ca.crt, path: ca.crt}
{{- end -}}
{{- end -}}

{{/* The fields that all pods have. */}}
{{- define "chat.podBasics" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "chat.podSecurity" . | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The scheduling constraints of a component. Takes (list ROOT COMPONENT VALUES). */}}
{{- define "chat.placement" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $part := index . 2 -}}
{{- if $part.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml $part.topologySpreadConstraints | nindent 2 }}
{{- else if $part.spread }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "chat.selector" (list $root $component) | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- with $part.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Further mounts, unchanged. Fails if a volume does not exist. Takes (list COMPONENT VALUES). */}}
{{- define "chat.extraMounts" -}}
{{- $volumes := list "tmp" -}}
{{- range (index . 1).extraVolumes -}}
{{- $volumes = append $volumes .name -}}
{{- end -}}
{{- range (index . 1).extraVolumeMounts -}}
{{- if not (has .name $volumes) -}}
{{- fail (printf "%s.extraVolumeMounts: extraVolumes has no %s" (index $ 0) .name) -}}
{{- end -}}
{{- end -}}
{{- with (index . 1).extraVolumeMounts -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* Two minutes to start; a restart after a minute without a response. Takes the path of the liveness probe. */}}
{{- define "chat.aliveProbes" -}}
startupProbe:
  httpGet: {path: {{ . }}, port: http}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: {{ . }}, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}
